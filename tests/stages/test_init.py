"""Stage ``init``: θ₀ of every seed, with its hash."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from helpers.experiment import SEEDS, raw, write

from pipeline.artifacts import files, paths
from pipeline.core.digests import digest
from pipeline.stages import init

FOLDER = paths.theta0_folder("main", SEEDS)


def test_every_seed_has_its_own_weights_and_their_hash(experiment_root: Path) -> None:
    first, second = (files.load_weights(FOLDER, seed) for seed in SEEDS)
    assert {name: array.shape for name, array in first.items()} == {
        "fc1.weight": (8, 64),
        "fc1.bias": (8,),
        "fc2.weight": (10, 8),
        "fc2.bias": (10,),
    }
    assert not np.array_equal(first["fc1.weight"], second["fc1.weight"])
    for seed, weights in zip(SEEDS, (first, second), strict=True):
        facts = files.load_facts(paths.seed_file(FOLDER, seed))
        assert facts == {"theta0": digest(weights)}


def test_a_seed_is_drawn_alike_in_any_group(
    experiment_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = paths.seed_file(FOLDER, 1).read_bytes()
    shutil.copytree(experiment_root / "artifacts/data", tmp_path / "artifacts/data")
    monkeypatch.chdir(tmp_path)
    write(tmp_path, seeds=[1, 5])
    init.run("main-s1_5")
    other = paths.theta0_folder("main", (1, 5))
    assert found == paths.seed_file(other, 1).read_bytes()


def test_another_draw_begins_the_same_seed_with_other_weights(
    experiment_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(experiment_root / "artifacts/data", tmp_path / "artifacts/data")
    monkeypatch.chdir(tmp_path)
    model = raw()["tasks"]["main"]["model"]
    for draw in (0, 1):
        write(tmp_path, tasks__main__model=model | {"draw": draw}, seeds=[1])
        init.run("main-s1")
        found = files.load_weights(paths.theta0_folder("main", (1,)), 1)
        known = files.load_weights(experiment_root / FOLDER, 1)
        assert (digest(found) == digest(known)) is (draw == 0)
