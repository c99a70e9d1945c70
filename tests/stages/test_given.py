"""Masks from files and from another task's chain, through every stage and every reader."""

from copy import deepcopy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers import experiment
from helpers.command import run

from pipeline.artifacts import files, paths
from pipeline.artifacts.paths import Instance
from pipeline.config import params
from pipeline.core import masks
from pipeline.core.digests import digest
from pipeline.inspect import verification
from pipeline.plan import plan_file, trained
from pipeline.plan.current import standing
from pipeline.plan.items import items_of

SEEDS = (0,)
THETA0 = {"to": "theta0"}
FILE = {"file": "masks/r{round}.npz"}
ELSEWHERE = {"task": "main", "variant": "ticket"}


def mask(round: int) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(round)
    shapes = {"fc1.weight": (8, 64), "fc2.weight": (10, 8)}
    return {name: rng.random(shape) < 0.5**round for name, shape in shapes.items()}


def recipe(mask: object, to: str = "theta0", **prune: object) -> dict[str, Any]:
    return {"tasks": ["main"], "prune": {"mask": mask, **prune}, "rewind": {"to": to}}


def changes() -> dict[str, Any]:
    """Two tasks that differ in their learning rate; masks from files and from ``main``."""
    raw = experiment.raw()
    other = deepcopy(raw["tasks"]["main"])
    other["train"]["lr"] = 0.05
    moved = {
        "transferred": recipe(ELSEWHERE, "trained-sign-reinit"),
        "moved": recipe(ELSEWHERE, transform="shuffle"),
        "late": recipe(ELSEWHERE) | {"rewind": {"to": "early", "step": 1, "task": "main"}},
        "pretrained": recipe(ELSEWHERE) | {"rewind": {"to": "trained", "task": "main"}},
    }
    return {
        "tasks": raw["tasks"] | {"other": other},
        "seeds": [0],
        "workers": 1,
        "variants": {
            "ticket": raw["variants"]["ticket"],
            "fixed": recipe(FILE),
            "shuffled": recipe("fixed", "reinit", transform="shuffle"),
            **{name: one | {"tasks": ["other"]} for name, one in moved.items()},
        },
    }


def write_masks(root: Path) -> None:
    (root / "masks").mkdir()
    for round in experiment.ROUNDS:
        np.savez(root / f"masks/r{round}.npz", **mask(round))


@pytest.fixture
def finished(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    write_masks(tmp_path)
    monkeypatch.chdir(tmp_path)
    return experiment.finish(tmp_path, **changes())


def at(task: str, variant: str, round: int) -> Instance:
    return Instance(task=task, variant=variant, round=round, seeds=SEEDS)


def begun(task: str, variant: str, round: int) -> dict[str, np.ndarray]:
    """The mask under which a round was trained."""
    return files.load_mask(paths.trained_folder(at(task, variant, round)), 0)


def start(variant: str, round: int) -> dict[str, np.ndarray]:
    """The weights with which a round of the other task began."""
    return files.load_weights(paths.starts_folder(at("other", variant, round)), 0)


def test_masks_of_files_and_of_another_task_go_through_everything(finished: Path) -> None:
    for round in experiment.ROUNDS:
        given = mask(round)
        assert digest(begun("main", "fixed", round)) == digest(given)
        shuffled = begun("main", "shuffled", round)
        assert masks.kept(shuffled) == masks.kept(given)
        assert digest(shuffled) != digest(given)
        ticket = begun("main", "ticket", round)
        assert digest(begun("other", "transferred", round)) == digest(ticket)
        assert masks.kept(begun("other", "moved", round)) == masks.kept(ticket)
        dense = files.load_weights(paths.trained_folder(at("main", "dense", 0)), 0)
        assert digest(start("pretrained", round)) == digest(masks.apply(dense, ticket))
        early = files.load_weights(paths.early_folder("main", 1, SEEDS), 0)
        assert digest(start("late", round)) == digest(masks.apply(early, ticket))
    assert not paths.early_folder("other", 1, SEEDS).exists()
    looks = verification.contents(params.load(), plan_file.check(params.load()))
    assert [problem for _, look in looks if (problem := look())] == []
    found = verification.promises.findings(params.load(), [SEEDS])
    promised = {(f.subject.partition(" ")[0], f.promise): f.broken for f in found}
    assert set(promised.values()) == {""}
    assert ("main/fixed", "masks as in their file") in promised
    assert ("other/transferred", "kept counts exact") in promised
    assert ("other/moved", "masks as transformed again") in promised
    for name in ("main/fixed", "other/transferred"):
        asked = ("--variant", name, "--round", "2", "--out", "t.safetensors", "--stale")
        ended = run(finished, "export", *asked)
        assert ended.code == 0, ended
    exported = files.load_arrays(finished / "t.safetensors")
    assert np.array_equal(
        exported["mask.fc1.weight"], begun("main", "ticket", 2)["fc1.weight"]
    )
    result = files.load_json(
        paths.results_folder(at("other", "transferred", 1)) / "result.json"
    )
    source = result["settings"]["mask_source"]
    assert source["criterion"] == "magnitude"
    assert source["task"]["train"]["lr"] == 0.1
    result = files.load_json(paths.results_folder(at("other", "late", 1)) / "result.json")
    assert result["settings"]["rewind"]["source"]["train"]["lr"] == 0.1
    row = [
        r for r in (finished / "results/rounds.csv").read_text().splitlines() if ",fix" in r
    ]
    assert len(row) >= len(experiment.ROUNDS)
    np.savez("masks/r1.npz", **mask(5))
    changed = verification.promises.findings(params.load(), [SEEDS])
    broken = {f.subject.partition(" ")[0]: f.broken for f in changed if f.broken}
    assert broken == {"main/fixed": "round 1: the mask is not the one in masks/r1.npz"}


def test_the_plan_knows_the_densities_and_the_file_of_each_round(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_masks(tmp_path)
    monkeypatch.chdir(tmp_path)
    experiment.write(tmp_path, **changes())
    settings = params.load()
    for variant in ("fixed", "shuffled"):
        found = trained.densities_of(settings, "main", variant)
        assert found == [1.0, *(masks.density(mask(r)) for r in experiment.ROUNDS)]
    plan = plan_file.check(settings)
    items = {item.key: item for item in items_of(plan, "given")}
    assert {key: item["raw"] for key, item in items.items()} == {
        f"main-fixed-r0{r}-s0": f"masks/r{r}.npz" for r in experiment.ROUNDS
    }
    (cross,) = [i for i in items_of(plan, "retrain") if i.key == "other-moved-r01-s0"]
    assert cross["mask_task"] == "main"
    assert standing(plan).stale == frozenset()


@pytest.mark.parametrize(
    ("prune", "said"),
    [
        ({"mask": {"file": "m.pt"}}, "variants.fixed.prune.mask: m.pt found; masks are re"),
        (
            {"mask": {"file": "m.npz"}},
            "variants.fixed.prune.mask.file: task main: m.npz: t",
        ),
        ({"mask": {"task": "main"}}, "variants.fixed.prune.mask: task given; give a file,"),
        ({"mask": {}}, "variants.fixed.prune.mask: nothing given; give a file, or task an"),
        ({"mask": {"file": 3}}, "variants.fixed.prune.mask.file: 3 found; write text, in"),
        ({"mask": 3}, "variants.fixed.prune.mask: 3 found; write text, in quotes"),
        ({"mask": {"fil": "m.npz"}}, "unknown key variants.fixed.prune.mask.fil; did you"),
        (
            {"mask": {"task": "man", "variant": "ticket"}},
            "variants.fixed.prune.mask.task: unknown: man; did you mean main?",
        ),
        (
            {"mask": {"task": "main", "variant": "tickt"}},
            "variants.fixed.prune.mask.variant: unknown: tickt; did you mean ticket?",
        ),
        (
            {"mask": {"file": "m.npz"}, "transform": "shuffle"},
            "variants.fixed.prune.transform: only another variant's mask can be transform",
        ),
        (
            {"mask": {"file": "m.npz"}, "criterion": "random"},
            "variants.fixed.prune.criterion: must be null, because the mask is read from ",
        ),
        (
            {"mask": {"task": "main", "variant": "ticket"}, "criterion": "random"},
            "variants.fixed.prune.criterion: must be null, because the mask is taken from "
            "ticket of task main",
        ),
    ],
)
def test_an_impossible_source_of_masks_is_one_line(
    prune: dict[str, Any], said: str
) -> None:
    asked = changes()
    del asked["variants"]["shuffled"]
    asked["variants"]["fixed"]["prune"] = prune
    with pytest.raises(params.UserError) as caught:
        experiment.settings(**asked)
    assert str(caught.value).startswith(f"params.yaml: {said}")
    assert "\n" not in str(caught.value)


def test_a_mask_of_another_network_is_refused() -> None:
    asked = changes()
    asked["variants"] = {n: asked["variants"][n] for n in ("ticket", "transferred")}
    asked["tasks"]["other"]["model"]["widths"] = [9]
    with pytest.raises(params.ParamsError) as caught:
        experiment.settings(**asked)
    assert str(caught.value) == (
        "params.yaml: variants.transferred.prune.mask: fc1.weight is [8, 64] in the "
        "network of task main and [9, 64] in that of task other; name a task with the same "
        "network, or a transform between networks: elastic"
    )


@pytest.mark.parametrize(
    ("rewind", "said"),
    [
        (
            {"to": "theta0", "task": "main"},
            "task: theta0 takes no weights of a training; write early or early-",
        ),
        ({"to": "trained", "task": "man"}, "task: unknown: man; did you mean main?"),
        ({"to": "early", "step": 2, "task": "main"}, "step: 2 found; the training of task"),
        (
            {"to": "trained", "task": "main"},
            "task: fc1.weight is [8, 64] in the network of task main and [9, 64] in that "
            "of task other; name a task with the same network",
        ),
    ],
)
def test_a_start_that_another_task_cannot_give_is_refused(
    rewind: dict[str, Any], said: str
) -> None:
    asked = changes()
    asked["tasks"]["other"]["model"]["widths"] = [9]
    ticket = asked["variants"]["ticket"]
    asked["variants"] = {"late": ticket | {"tasks": ["other"], "rewind": rewind}}
    with pytest.raises(params.ParamsError) as caught:
        experiment.settings(**asked)
    assert str(caught.value).startswith(f"params.yaml: variants.late.rewind.{said}")


def test_a_start_that_looks_at_trained_weights_needs_some(tmp_path: Path) -> None:
    asked = {"variants": {"fixed": recipe(FILE, "trained-sign-reinit")}}
    with pytest.raises(
        params.ParamsError, match="looks at the weights that a mask was cut"
    ):
        experiment.settings(**asked)
