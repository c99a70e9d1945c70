"""Late rewinding under the real dvc: another step never trains the dense network again."""

from copy import deepcopy

import pytest
from helpers.workspace import Workspace

DENSE = "main-s0-1"


@pytest.fixture
def rewound(workspace: Workspace) -> Workspace:
    """One round of tickets at step 0 and of late-rewound ones, planned and not run."""
    params = workspace.params()
    ticket = params["variants"]["ticket"]
    late = deepcopy(ticket) | {
        "rewind": {"to": "early", "step": 2, "draw": None, "pruned": "zero"}
    }
    params["variants"] = {"ticket": ticket, "late-rewind": late}
    workspace.write_params(params | {"rounds": 1})
    workspace.plan()
    return workspace


@pytest.mark.slow
def test_a_step_more_trains_its_first_steps_and_the_rounds_rewound_to_them(
    rewound: Workspace,
) -> None:
    round_1 = "main-late-rewind-r01-s0-1"
    assert rewound.repro().trained == {"main-k000002-s0-1", round_1}
    rewound.edit(**{"variants__late-rewind__rewind__step": 3})
    assert rewound.repro().trained == {"main-k000003-s0-1", round_1}
    early = rewound.root / "artifacts/early/main"
    assert [path.name for path in early.iterdir()] == ["k000003"]
    rewound.done("python", "-m", "pipeline.cli", "verify")

    rewound.edit(**{"variants__late-rewind__rewind__step": 2})
    assert rewound.repro().trained == set()
    assert [path.name for path in early.iterdir()] == ["k000002"]
    assert rewound.repro().executed == ()
