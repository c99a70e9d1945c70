"""Stage ``rewind``: where a round starts."""

import numpy as np
import pytest
from helpers.experiment import ROUNDS, SEEDS, at, edited

from pipeline.artifacts import files, paths
from pipeline.artifacts.files import ArtifactError
from pipeline.config import params
from pipeline.config.settings import build_network
from pipeline.core import seeding
from pipeline.core.arrays import Mask, Weights
from pipeline.core.digests import digest
from pipeline.core.models.init import initial_weights
from pipeline.stages import rewind

MASK_OWNER = {
    "ticket": "ticket",
    "one-shot": "one-shot",
    "reinit": "ticket",
    "random-mask": "random-mask",
}

pytestmark = pytest.mark.usefixtures("experiment_root")


def start_of(variant: str, round: int, seed: int = 0) -> Weights:
    return files.load_weights(paths.starts_folder(at(variant, round)), seed)


def mask_of(variant: str, round: int, seed: int = 0) -> Mask:
    folder = paths.masks_folder(at(MASK_OWNER[variant], round))
    return files.load_mask(folder, seed)


def theta0_of(seed: int = 0) -> Weights:
    return files.load_weights(paths.theta0_folder("main", SEEDS), seed)


def fresh(round: int, seed: int = 0) -> Weights:
    """What the reinit variant draws."""
    task = params.parse(edited()).tasks["main"]
    rng = seeding.generator(seed, "reinit", round=round, copy=0)
    return initial_weights(build_network(task), "glorot-normal", rng)


def masked(weights: Weights, mask: Mask) -> Weights:
    return {
        name: np.where(mask[name], array, np.float32(0)) if name in mask else array
        for name, array in weights.items()
    }


@pytest.mark.parametrize("variant", ["ticket", "one-shot", "random-mask"])
@pytest.mark.parametrize("round", ROUNDS)
def test_a_round_starts_from_theta0_under_its_mask(variant: str, round: int) -> None:
    for seed in SEEDS:
        expected = masked(theta0_of(seed), mask_of(variant, round, seed))
        assert digest(start_of(variant, round, seed)) == digest(expected)


@pytest.mark.parametrize("round", ROUNDS)
def test_reinit_starts_from_a_fresh_draw_under_the_tickets_mask(round: int) -> None:
    for seed in SEEDS:
        expected = masked(fresh(round, seed), mask_of("ticket", round, seed))
        assert digest(start_of("reinit", round, seed)) == digest(expected)


def test_a_fresh_draw_shares_no_weight_with_theta0_or_another_round() -> None:
    for other in (theta0_of(), fresh(2)):
        equal = fresh(1)["fc1.weight"] == other["fc1.weight"]
        assert np.count_nonzero(equal) == 0


@pytest.mark.parametrize("variant", list(MASK_OWNER))
def test_a_start_says_which_theta0_source_and_mask_it_came_from(variant: str) -> None:
    path = paths.seed_file(paths.starts_folder(at(variant, 1)), 0)
    source = fresh(1) if variant == "reinit" else theta0_of()
    assert files.load_facts(path) == {
        "theta0": digest(theta0_of()),
        "source": digest(source),
        "mask": digest(mask_of(variant, 1)),
    }


def test_a_changed_theta0_is_refused_and_the_old_start_stays() -> None:
    path = paths.seed_file(paths.theta0_folder("main", SEEDS), 1)
    weights, facts = files.load_arrays(path), files.load_facts(path)
    weights["fc1.weight"][0, 0] += 1
    files.save_arrays(path, weights, **facts)
    start = paths.starts_folder(at("ticket", 1))
    before = {file: file.read_bytes() for file in start.iterdir()}
    with pytest.raises(ArtifactError, match=r"the weights are not those that init drew"):
        rewind.run("main-ticket-r01-s0-1")
    assert {file: file.read_bytes() for file in start.iterdir()} == before
    assert [file.name for file in start.parent.iterdir()] == ["s0-1"]


def test_rewinding_again_gives_the_same_bytes() -> None:
    path = paths.seed_file(paths.starts_folder(at("reinit", 2)), 1)
    before = path.read_bytes()
    path.unlink()
    rewind.run("main-reinit-r02-s0-1")
    assert path.read_bytes() == before


def test_the_folder_holds_one_file_per_seed() -> None:
    folder = paths.starts_folder(at("ticket", 1))
    assert sorted(path.name for path in folder.iterdir()) == [
        "s0.safetensors",
        "s1.safetensors",
    ]
