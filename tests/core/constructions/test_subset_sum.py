"""The search for subsets: exact, and as close as the number of candidates allows."""

import numpy as np
import pytest

from pipeline.core.constructions.subset_sum import best_subsets, sums


def errors(candidates: np.ndarray, targets: np.ndarray) -> np.ndarray:
    return np.abs(sums(candidates, best_subsets(targets, candidates)) - targets)


@pytest.mark.parametrize("size", range(1, 11))
def test_no_subset_is_closer_than_the_one_found(size: int) -> None:
    rng = np.random.default_rng(size)
    candidates = rng.uniform(-1, 1, (6, size))
    targets = rng.uniform(-1, 1, (6, 4))
    every = np.arange(2**size, dtype=np.uint64)[None].repeat(6, axis=0)
    best = np.abs(sums(candidates, every)[:, None, :] - targets[:, :, None]).min(axis=2)
    np.testing.assert_allclose(errors(candidates, targets), best, atol=1e-12)


def test_many_rows_and_targets_are_found_piece_by_piece_as_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rng = np.random.default_rng(0)
    candidates, targets = rng.uniform(-1, 1, (9, 8)), rng.uniform(-1, 1, (9, 70))
    together = best_subsets(targets, candidates)
    monkeypatch.setattr("pipeline.core.constructions.subset_sum.TOGETHER", 1)
    np.testing.assert_array_equal(best_subsets(targets, candidates), together)


def test_nothing_is_kept_for_a_weight_that_is_0() -> None:
    assert not best_subsets(np.zeros((3, 2)), np.full((3, 5), 0.25)).any()


def test_a_subset_of_32_candidates_is_found() -> None:
    candidates = np.random.default_rng(0).uniform(-1, 1, (1, 32))
    wanted = np.array([[0xDEADBEEF]], np.uint64)
    assert errors(candidates, sums(candidates, wanted)).max() < 1e-12


@pytest.mark.parametrize(
    ("products", "medians"),
    [
        (False, {4: 5.1e-2, 8: 4.4e-3, 12: 3.2e-4}),
        (True, {4: 4.1e-2, 8: 2.9e-3, 12: 2.0e-4}),
    ],
)
def test_two_more_candidates_make_the_median_error_four_times_smaller(
    *, products: bool, medians: dict[int, float]
) -> None:
    """The medians are those of a simulation with 800 to 4,000 targets."""
    found = {}
    for size, published in medians.items():
        rng = np.random.default_rng(size)
        candidates = rng.uniform(-1, 1, (2000, size))
        if products:
            candidates *= rng.uniform(-1, 1, candidates.shape)
        found[size] = np.median(errors(candidates, rng.uniform(-0.5, 0.5, (2000, 1))))
        assert found[size] == pytest.approx(published, rel=0.25)
    slope = np.polyfit(list(found), np.log2(list(found.values())), 1)[0]
    assert -1.1 < slope < -0.8
