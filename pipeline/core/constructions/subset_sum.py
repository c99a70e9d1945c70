"""Find the subset of some numbers whose sum is closest to a target, for many targets.

The search is exact and meets in the middle: all 2^(n/2) sums of one half of the candidates
are sorted, and for each sum of the other half the best partner is looked up. So a target
costs 2^(n/2) look-ups in place of 2^n sums.
"""

from collections.abc import Iterator

import numpy as np

from pipeline.core.arrays import Integers
from pipeline.core.constructions.target import Doubles, Subsets

MOST = 32
"""the greatest number of candidates: a half has 65,536 sums"""
TOGETHER = 1 << 19
"""look-ups at a time: their arrays stay below 50 MB"""


def best_subsets(targets: Doubles, candidates: Doubles) -> Subsets:
    """The best subset of a row's candidates for each of its targets.

    Args:
        targets: (R, T).
        candidates: (R, n), n in 1 … MOST; row r's are for the targets of row r.

    Returns:
        (R, T). No other subset is closer by more than rounding (1e-9 of the candidates'
        sum). The empty subset is one of them.
    """
    num_rows, num_targets = targets.shape
    size = candidates.shape[1]
    assert 1 <= size <= MOST, "checked by refusal()"
    left, right = np.split(candidates, [size // 2], axis=1)
    found = np.empty(targets.shape, np.uint64)
    for rows in _pieces(num_rows, min(num_targets, 64) << (size - size // 2)):
        order_l, sums_l = _sorted_sums(left[rows])
        order_r, sums_r = _sorted_sums(right[rows])
        for some in _pieces(num_targets, sums_l.size):
            best_l, best_r = _closest(targets[rows, some], sums_l, sums_r)
            low = np.take_along_axis(order_l, best_l, axis=1).astype(np.uint64)
            high = np.take_along_axis(order_r, best_r, axis=1).astype(np.uint64)
            found[rows, some] = low | high << np.uint64(size // 2)
    return found


def sums(candidates: Doubles, subsets: Subsets) -> Doubles:
    """The sum of a row's candidates over each of its subsets.

    Args:
        candidates: (R, n).
        subsets: (R, T).
    """
    found = np.zeros(subsets.shape)
    for number in range(candidates.shape[1]):
        chosen = (subsets >> np.uint64(number)) & np.uint64(1)
        found += candidates[:, number, None] * chosen
    return found


def _pieces(number: int, cost: int) -> Iterator[slice]:
    size = max(1, TOGETHER // cost)
    for first in range(0, number, size):
        yield slice(first, first + size)


def _sorted_sums(candidates: Doubles) -> tuple[Integers, Doubles]:
    """All sums of each row, ascending, and the subset of each: both (R, 2^n)."""
    found = np.zeros((len(candidates), 1))
    for number in range(candidates.shape[1]):
        found = np.concatenate([found, found + candidates[:, number, None]], axis=1)
    order = np.argsort(found, axis=1, kind="stable")
    return order, np.take_along_axis(found, order, axis=1)


def _closest(
    targets: Doubles, sums_l: Doubles, sums_r: Doubles
) -> tuple[Integers, Integers]:
    """Positions of the best two sums for each target (R, T), in both halves."""
    num_rows, num = sums_r.shape
    wanted = targets[:, :, None] - sums_l[:, None, :]  # (R, T, 2^l)
    # Rows are searched together: row r's values are moved to a range of their own.
    span = max(np.abs(wanted).max(), np.abs(sums_r).max()) * 2 + 1
    moved = np.arange(num_rows) * 2.0 * span
    places = np.searchsorted(
        (sums_r + moved[:, None]).ravel(), (wanted + moved[:, None, None]).ravel()
    ).reshape(wanted.shape)
    above = np.clip(places - np.arange(num_rows)[:, None, None] * num, 0, num - 1)
    below = np.maximum(above - 1, 0)
    rows = np.arange(num_rows)[:, None, None]
    far_above = np.abs(sums_r[rows, above] - wanted)
    far_below = np.abs(sums_r[rows, below] - wanted)
    best_l = np.argmin(np.minimum(far_above, far_below), axis=2)[:, :, None]
    picked = [
        np.take_along_axis(one, best_l, axis=2)[:, :, 0]
        for one in (above, below, far_above, far_below)
    ]
    best_r = np.where(picked[2] <= picked[3], picked[0], picked[1])
    return best_l[:, :, 0], best_r
