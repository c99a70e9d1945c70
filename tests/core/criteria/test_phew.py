"""PHEW's draws: fast ones are those that a plain search gives."""

import numpy as np

from pipeline.core.criteria.phew import _Table


def test_a_draw_is_the_one_of_a_search_through_the_whole_row() -> None:
    rng = np.random.default_rng(0)
    sizes = rng.exponential(size=(40, 30)) ** 8  # very unequal
    sizes[:, ::3] = 0
    sizes[3, 1:] = 0
    sizes[3, 0] = 1
    rows = rng.integers(len(sizes), size=20_000)
    found = _Table(sizes).draw(rows, np.random.default_rng(1))
    chance = np.random.default_rng(1).random(len(rows))
    cumulated = np.cumsum(sizes, axis=1)
    moved = (cumulated / cumulated[:, -1:] + np.arange(len(sizes))[:, None]).ravel()
    at = np.searchsorted(moved, rows + chance, side="right")
    np.testing.assert_array_equal(found, np.clip(at - rows * 30, 0, 29))
    assert (sizes[rows, found] > 0).all()
