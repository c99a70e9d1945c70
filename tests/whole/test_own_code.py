"""With the real dvc: an edit of a user's code or mask trains exactly what uses it."""

import io
from pathlib import Path

import numpy as np
import pytest
from helpers import workspace
from helpers.workspace import PARAMS, Workspace
from ruamel.yaml import YAML

pytestmark = pytest.mark.slow

SCORES = """\
import numpy as np
from mine.shared import power
from pipeline.core.criteria import Criterion
from pipeline.core.functions import declares

@declares(Criterion())
def by_size(evidence):
    return {n: np.abs(evidence.trained[n]) ** power() for n in evidence.mask}
"""
SHARED = "def power():\n    return 2\n"


def write_mask(root: Path, seed: int) -> None:
    rng = np.random.default_rng(seed)
    shapes = {"fc1.weight": (8, 64), "fc2.weight": (10, 8)}
    masks = {name: rng.random(shape) < 0.5 for name, shape in shapes.items()}
    np.savez(root / "mask.npz", **masks)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    root = tmp_path_factory.mktemp("own") / "clone"
    (root / "mine").mkdir(parents=True)
    files = {"__init__": "", "scores": SCORES, "shared": SHARED, "beside": "ONE = 1\n"}
    for name, text in files.items():
        (root / "mine" / f"{name}.py").write_text(text)
    write_mask(root, 0)
    asked = YAML(typ="safe", pure=True).load(PARAMS) | {"rounds": 1, "seeds": [0]}
    ticket = asked["variants"]["ticket"]
    criterion = {"import": "mine.scores:by_size"}
    asked["variants"] = {
        "ticket": ticket,
        "mine": ticket | {"prune": ticket["prune"] | {"criterion": criterion}},
        "fixed": ticket | {"prune": {"mask": {"file": "mask.npz"}}},
    }
    text = io.StringIO()
    writer = YAML(typ="safe", pure=True)
    writer.default_flow_style = False  # inside { } DVC takes no name with a colon
    writer.dump(asked, text)
    made = workspace.make(root, tmp_path_factory.mktemp("home"), text.getvalue())
    first = made.repro()
    assert first.trained == {"main-s0"} | {
        f"main-{name}-r01-s0" for name in ("ticket", "mine", "fixed")
    }
    return made


def ran(found: Workspace) -> set[str]:
    return set(found.repro().executed) - {"plan", "results"}


def test_an_edit_runs_exactly_what_uses_it(finished: Workspace) -> None:
    assert ran(finished) == set()
    # A module of the package that the criterion does not import.
    finished.replace("mine/beside.py", "1", "2")
    assert ran(finished) == set()
    # What it imports, with the same scores: the mask is made again, and is the same.
    finished.replace("mine/shared.py", "return 2", "return 1 + 1")
    assert ran(finished) == {"prune@main-mine-r01-s0"}
    # Other scores.
    finished.replace("mine/shared.py", "return 1 + 1", "return -1")
    stages = ("prune", "rewind", "retrain")
    assert ran(finished) == {f"{stage}@main-mine-r01-s0" for stage in stages}
    # The mask's file.
    write_mask(finished.root, 1)
    stages = ("given", "rewind", "retrain")
    assert ran(finished) == {f"{stage}@main-fixed-r01-s0" for stage in stages}
