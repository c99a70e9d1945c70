"""Stages ``train`` and ``retrain``: weights, masks, results, curves and timing."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers.experiment import SEEDS, VARIANTS, edited, write

from pipeline.artifacts import files, parquet, paths
from pipeline.artifacts.paths import Instance
from pipeline.core import masks
from pipeline.core.digests import digest
from pipeline.run.kept import places
from pipeline.stages import train

DENSE = Instance(task="main", variant="dense", round=0, seeds=SEEDS)
ROUND_2 = [Instance(task="main", variant=v, round=2, seeds=SEEDS) for v in VARIANTS]

pytestmark = pytest.mark.usefixtures("experiment_root")


def result_of(instance: Instance) -> dict[str, Any]:
    path = paths.results_folder(instance) / "result.json"
    value: dict[str, Any] = files.load_json(path)
    return value


def test_the_dense_network_keeps_everything() -> None:
    mask = files.load_mask(paths.trained_folder(DENSE), 0)
    assert masks.kept(mask) == {"fc1.weight": 512, "fc2.weight": 80}
    assert masks.density(mask) == 1


@pytest.mark.parametrize("instance", [DENSE, *ROUND_2], ids=lambda i: i.variant)
def test_training_moves_the_kept_weights_and_no_others(instance: Instance) -> None:
    folder = paths.trained_folder(instance)
    if instance is DENSE:
        starts = paths.theta0_folder("main", SEEDS)
    else:
        starts = paths.starts_folder(instance)
    for seed in SEEDS:
        weights, mask = (
            files.load_weights(folder, seed),
            files.load_mask(folder, seed),
        )
        start = files.load_weights(starts, seed)
        for name, kept in mask.items():
            assert not weights[name][~kept].any()
            assert (weights[name] != start[name])[kept].mean() > 0.5


@pytest.mark.parametrize("instance", [DENSE, *ROUND_2], ids=lambda i: i.variant)
def test_a_result_says_what_stands_in_the_files(instance: Instance) -> None:
    result = result_of(instance)
    folder = paths.trained_folder(instance)
    assert (result["num_prunable"], result["num_parameters"]) == (592, 610)
    assert result["sizes"] == {"fc1.weight": 512, "fc2.weight": 80}
    assert list(result["seeds"]) == ["0", "1"]
    for seed in SEEDS:
        facts = result["seeds"][str(seed)]
        mask = files.load_mask(folder, seed)
        assert facts["kept"] == masks.kept(mask)
        assert facts["density"] == masks.density(mask)
        assert facts["mask"] == digest(mask)
        assert facts["trained"] == digest(files.load_weights(folder, seed))
        theta0 = files.load_weights(paths.theta0_folder("main", SEEDS), seed)
        assert facts["theta0"] == digest(theta0)
        assert facts["steps"] == 2
        assert 0 <= facts["test_accuracy"] <= 1
        assert not facts["diverged"]


def test_a_result_records_the_settings_behind_it() -> None:
    asked = edited()
    main, ticket = asked["tasks"]["main"], asked["variants"]["ticket"]
    nothing = {"prune": None, "rewind": None, "mask_source": None}
    assert result_of(DENSE)["settings"] == main | nothing
    by_variant = {i.variant: result_of(i)["settings"] for i in ROUND_2}
    assert by_variant["ticket"]["prune"] == ticket["prune"]
    assert by_variant["ticket"]["mask_source"] is None
    assert by_variant["reinit"]["rewind"] == {
        "to": "reinit",
        "step": None,
        "draw": 0,
        "pruned": "zero",
    }
    assert by_variant["reinit"]["mask_source"] == ticket["prune"]


def test_curves_have_validation_at_every_evaluation_and_the_test_at_the_end() -> None:
    curves = parquet.load_curves(paths.results_folder(DENSE) / "curves.parquet")
    rows = curves.to_pylist()
    for seed in SEEDS:
        own = [row for row in rows if row["seed"] == seed]
        steps = [row["step"] for row in own if row["split"] == "validation"]
        assert steps == [0, 1, 2] or steps == [1, 2]
        tested = [row for row in own if row["split"] == "test"]
        facts = result_of(DENSE)["seeds"][str(seed)]
        assert tested[-1]["step"] == 2
        assert tested[-1]["accuracy"] == facts["test_accuracy"]
        best = min((r for r in own if r["split"] == "validation"), key=lambda r: r["loss"])
        assert best["step"] == facts["early_stop_step"]
        assert best["loss"] == facts["validation_loss"]


def test_timing_stands_in_a_file_of_its_own() -> None:
    timing = files.load_json(paths.timing_file(DENSE))
    assert set(timing) == {"seeds", "host", "cpu", "versions", "started", "ended"}
    assert timing["seeds"]["0"]["seconds"] > 0
    assert "seconds" not in str(result_of(DENSE))


def test_no_checkpoint_is_left() -> None:
    assert [path for path in Path(".lt/checkpoints").rglob("*") if path.is_file()] == []


def test_training_again_gives_the_same_bytes() -> None:
    folders = (paths.trained_folder(DENSE), paths.results_folder(DENSE))
    before = {p: p.read_bytes() for folder in folders for p in folder.iterdir()}
    assert len(before) == 6
    files.remove(places.DEFAULT)
    train.run("main-s0-1")
    assert {p: p.read_bytes() for folder in folders for p in folder.iterdir()} == before


def test_a_diverged_training_is_marked_and_handed_on(experiment_root: Path) -> None:
    write(
        experiment_root, tasks__main__train__weight_decay=1e9, tasks__main__train__steps=5
    )
    train.run("main-s0-1")
    for facts in result_of(DENSE)["seeds"].values():
        assert facts["diverged"]
        assert facts["test_loss"] is None or math.isfinite(facts["test_loss"])
    mask = files.load_mask(paths.trained_folder(DENSE), 0)
    assert np.all(mask["fc1.weight"])
