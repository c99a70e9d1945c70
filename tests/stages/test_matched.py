"""Stage ``matched``: another task's mask in the order of this task's hidden units."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers.experiment import ROUNDS, SEEDS, raw, settings, trained, write

from pipeline.artifacts import files, paths
from pipeline.artifacts.paths import Instance
from pipeline.config.params import ParamsError
from pipeline.config.settings import build_network
from pipeline.core import masks
from pipeline.core.models.units import permuted
from pipeline.inspect.verification import promises
from pipeline.stages import matched

TAKEN = {"mask": {"task": "main", "variant": "ticket"}, "transform": "permuted"}
VARIANT: dict[str, Any] = {
    "tasks": ["other"],
    "prune": TAKEN,
    "rewind": {"to": "theta0", "step": None, "draw": None, "pruned": "zero"},
}
ORDER = np.array([3, 0, 7, 5, 1, 2, 6, 4])


def two_tasks(**changes: object) -> dict[str, object]:
    """A ticket of one task, and a variant of another one that takes its mask."""
    main = raw()["tasks"]["main"]
    other = main | {"model": main["model"] | {"draw": 1}}
    ticket = raw()["variants"]["ticket"]
    return {
        "tasks": {"main": main, "other": other},
        "variants": {"ticket": ticket, "permuted": VARIANT | changes},
    }


def of_other(variant: str, round: int) -> Instance:
    return Instance(task="other", variant=variant, round=round, seeds=SEEDS)


def test_the_mask_stands_in_the_order_of_the_other_dense_network(
    experiment_root: Path,
) -> None:
    """That one is the mask's dense network, with its units in a known order."""
    write(experiment_root, **two_tasks())
    asked = settings(**two_tasks())
    network = build_network(asked.tasks["main"])
    dense = paths.trained_folder(of_other("dense", 0))
    for seed in SEEDS:
        weights = files.load_arrays(paths.seed_file(trained("dense", 0), seed, "weights"))
        moved = permuted(network, weights, [ORDER])
        files.save_arrays(paths.seed_file(dense, seed, "weights"), moved)
    for round in ROUNDS:
        matched.run(f"other-permuted-r0{round}-s0-1")
        for seed in SEEDS:
            ticket = files.load_mask(trained("ticket", round), seed)
            found = files.load_mask(paths.masks_folder(of_other("permuted", round)), seed)
            wanted = permuted(network, ticket, [ORDER])
            assert all((found[name] == wanted[name]).all() for name in ticket)
            assert masks.kept(found) == masks.kept(ticket)
    broken = {
        finding.promise: finding.broken
        for finding in promises.findings(asked, [SEEDS])
        if finding.subject == "other/permuted seed 1" and "masks" in finding.promise
    }
    assert broken == {"masks as transformed again": ""}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"tasks": ["main"], "prune": TAKEN | {"mask": "ticket"}},
            "permuted compares dense networks of two tasks, and main is that of the mask "
            "and of the start; take the mask of a task that draws other weights "
            "(model.draw)",
        ),
        (
            {"rewind": VARIANT["rewind"] | {"to": "early", "step": 1, "task": "main"}},
            "permuted compares dense networks of two tasks, and main is that of the mask "
            "and of the start; take the mask of a task that draws other weights "
            "(model.draw)",
        ),
    ],
)
def test_two_dense_networks_are_needed(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ParamsError) as caught:
        settings(**two_tasks(**changes))
    said = f"params.yaml: variants.permuted.prune.transform: {message}"
    assert str(caught.value) == said
