"""Stage ``prune``: the masks of a round."""

from pathlib import Path

import numpy as np
import pytest
from helpers.experiment import OWN, ROUNDS, SEEDS

from pipeline.artifacts import files, paths
from pipeline.artifacts.paths import Instance
from pipeline.core import masks
from pipeline.core.arrays import Mask
from pipeline.core.digests import digest
from pipeline.stages import prune

# 512 weights lose 154, then 107 of 358; 80 lose 12, then 10 of 68.
KEPT = {
    1: {"fc1.weight": 358, "fc2.weight": 68},
    2: {"fc1.weight": 251, "fc2.weight": 58},
}

pytestmark = pytest.mark.usefixtures("experiment_root")


def folder_of(variant: str, round: int) -> Path:
    instance = Instance(task="main", variant=variant, round=round, seeds=SEEDS)
    return paths.masks_folder(instance)


def mask_of(variant: str, round: int, seed: int = 0) -> Mask:
    return files.load_mask(folder_of(variant, round), seed)


def trained(variant: str, round: int) -> dict[str, np.ndarray]:
    instance = Instance(task="main", variant=variant, round=round, seeds=SEEDS)
    return files.load_weights(paths.trained_folder(instance), 0)


@pytest.mark.parametrize("variant", ["ticket", "one-shot", "random-mask"])
@pytest.mark.parametrize("round", ROUNDS)
def test_every_variant_keeps_the_same_counts_per_layer(variant: str, round: int) -> None:
    for seed in SEEDS:
        assert masks.kept(mask_of(variant, round, seed)) == KEPT[round]


@pytest.mark.parametrize("round", ROUNDS)
def test_a_ticket_keeps_the_largest_weights_that_the_round_before_trained(
    round: int,
) -> None:
    source = trained("ticket", 1) if round == 2 else trained("dense", 0)
    for name, mask in mask_of("ticket", round).items():
        sizes = np.sort(np.abs(source[name]), axis=None)
        threshold = sizes[-KEPT[round][name]]
        np.testing.assert_array_equal(mask, np.abs(source[name]) >= threshold)


@pytest.mark.parametrize("round", ROUNDS)
def test_one_shot_keeps_the_largest_weights_of_the_dense_network(round: int) -> None:
    source = trained("dense", 0)
    for name, mask in mask_of("one-shot", round).items():
        threshold = np.sort(np.abs(source[name]), axis=None)[-KEPT[round][name]]
        np.testing.assert_array_equal(mask, np.abs(source[name]) >= threshold)


def test_the_first_cut_is_the_same_iterated_or_at_once() -> None:
    assert digest(mask_of("ticket", 1)) == digest(mask_of("one-shot", 1))


@pytest.mark.parametrize("variant", OWN)
def test_masks_are_nested(variant: str) -> None:
    assert masks.is_nested(mask_of(variant, 2), mask_of(variant, 1))


def test_random_masks_lie_elsewhere_and_anew_in_every_round() -> None:
    ticket, random = mask_of("ticket", 2), mask_of("random-mask", 2)
    assert digest(ticket) != digest(random)
    assert not masks.is_nested(random, mask_of("random-mask", 1))
    assert digest(random) != digest(mask_of("random-mask", 2, seed=1))


def test_a_mask_file_says_its_hash_and_its_density() -> None:
    path = paths.seed_file(folder_of("ticket", 1), 0)
    assert files.load_facts(path) == {
        "mask": digest(mask_of("ticket", 1)),
        "density": (358 + 68) / 592,
    }


@pytest.mark.parametrize("variant", ["ticket", "one-shot", "random-mask"])
def test_pruning_again_gives_the_same_bytes(variant: str) -> None:
    path = paths.seed_file(folder_of(variant, 2), 1)
    before = path.read_bytes()
    path.unlink()
    prune.run(f"main-{variant}-r02-s0-1")
    assert path.read_bytes() == before
