"""Tickets in other depths and dense networks with a ticket's norm, through every stage."""

from copy import deepcopy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers import experiment

from pipeline.artifacts import files, paths
from pipeline.artifacts.paths import Instance
from pipeline.config import params
from pipeline.inspect import verification
from pipeline.plan import plan_file, trained

SEEDS = (0,)
TICKET = {"task": "main", "variant": "ticket"}


def changes() -> dict[str, Any]:
    """A network of one 8 × 8 layer, its ticket from step 1 on, and a network of two."""
    raw = experiment.raw()
    main, deep = deepcopy(raw["tasks"]["main"]), deepcopy(raw["tasks"]["main"])
    main["model"]["widths"], deep["model"]["widths"] = [8, 8], [8, 8, 8]
    ticket = deepcopy(raw["variants"]["ticket"]) | {
        "tasks": ["main"],
        "rewind": {"to": "early", "step": 1},
    }
    stretched = {
        "tasks": ["deep"],
        "prune": {"mask": TICKET, "transform": "elastic", "blocks": {"order": "appending"}},
        "rewind": {"to": "taken", "step": 1},
    }
    normed = {
        "tasks": ["main"],
        "prune": {"mask": "ticket", "transform": "everything"},
        "rewind": {"to": "norm-matched"},
    }
    return {
        "tasks": {"main": main, "deep": deep},
        "seeds": [0],
        "rounds": 1,
        "workers": 1,
        "variants": {"ticket": ticket, "stretched": stretched, "normed": normed},
    }


def at(task: str, variant: str) -> Instance:
    return Instance(task=task, variant=variant, round=1, seeds=SEEDS)


def test_a_ticket_is_stretched_with_its_weights_and_trains_on_from_its_step(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    experiment.finish(tmp_path, **changes())
    settings = params.load()
    ticket, stretched, normed = (
        files.load_weights(paths.starts_folder(at(*which)), 0)
        for which in (("main", "ticket"), ("deep", "stretched"), ("main", "normed"))
    )
    for name, other in (("fc1", "fc1"), ("fc2", "fc2"), ("fc3", "fc2"), ("fc4", "fc3")):
        for part in ("weight", "bias"):
            here, there = stretched[f"{name}.{part}"], ticket[f"{other}.{part}"]
            assert np.array_equal(here, there)
    kernels = [name for name in ticket if name.endswith("weight")]
    squares = [
        sum(float((one[name].astype(float) ** 2).sum()) for name in kernels)
        for one in (normed, ticket)
    ]
    assert squares[0] == pytest.approx(squares[1], rel=1e-5)
    assert all(normed[name].all() for name in kernels), "nothing is pruned"
    folder = paths.results_folder(at("deep", "stretched"))
    result = files.load_json(folder / "result.json")
    assert result["settings"]["mask_source"]["rewind"]["step"] == 1
    assert (
        result["seeds"]["0"]["kept"]["fc2.weight"]
        == (result["seeds"]["0"]["kept"]["fc3.weight"])
    )
    assert trained.densities_of(settings, "main", "normed") == [1.0, 1.0]
    looks = verification.contents(settings, plan_file.check(settings))
    assert [problem for _, look in looks if (problem := look())] == []
    found = verification.promises.findings(settings, [SEEDS])
    assert {f.broken for f in found} == {""}


@pytest.mark.parametrize(
    ("variant", "part", "value", "said"),
    [
        (
            "stretched",
            "prune",
            {"mask": TICKET, "transform": "elastic", "blocks": {"by_name": {"fc9": "fc2"}}},
            "prune.blocks: from task main to task deep: unknown block of the network: fc9",
        ),
        (
            "stretched",
            "prune",
            {"mask": TICKET, "transform": "elastic", "blocks": {"order": "random"}},
            "prune.blocks.order: input should be 'appending' or 'interpolating'",
        ),
        (
            "normed",
            "prune",
            {"mask": "ticket", "transform": "shuffle", "blocks": {}},
            "prune.blocks: nothing here maps blocks; write transform: elastic, or remove",
        ),
        (
            "stretched",
            "prune",
            {"mask": TICKET, "transform": "shuffle"},
            "prune.mask: fc3.weight is [10, 8] in the network of task main and [8, 8] in",
        ),
        (
            "ticket",
            "rewind",
            {"to": "norm-matched"},
            "rewind.to: norm-matched looks at the start of the variant whose mask is "
            "taken, and the mask is its own",
        ),
        (
            "stretched",
            "rewind",
            {"to": "taken"},
            "rewind.step: null found; rounds of ticket begin at step 1: write 1",
        ),
    ],
)
def test_what_cannot_be_taken_is_one_line(
    variant: str, part: str, value: dict[str, Any], said: str
) -> None:
    asked = changes()
    asked["variants"][variant][part] = value
    with pytest.raises(params.UserError) as caught:
        experiment.settings(**asked)
    assert str(caught.value).startswith(f"params.yaml: variants.{variant}.{said}")
    assert "\n" not in str(caught.value)
