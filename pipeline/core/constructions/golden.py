"""Write each weight in digits of the golden ratio, with random numbers as digits.

Source: Orseau, Hutter, Rivasplata 2020, "Logarithmic pruning is all you need",
arXiv:2006.12156: weights are hyperbolic, so that each interval (g^(i+1), g^i] is hit with
equal chance, where g = 0.618… solves g² = 1 - g; numbers are drawn until every interval
has one; a weight is the sum of at most one number per interval.

The digits are found greedily: with r ≤ g^(i-1) left and a number x in (g^(i+1), g^i], take
x if r ≥ x. What is left is then at most g^(i-1) - g^(i+1) = g^i, and at most x ≤ g^i if x
is not taken. So k digits leave at most g^k of the greatest weight. No search is needed.

We know the paper by its abstract and a digest; how its units share numbers is our own:
an output unit draws one number per interval and sign, and all its weights share them.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from pipeline.core.constructions.subset_sum import sums
from pipeline.core.constructions.target import (
    Built,
    Doubles,
    Layer,
    Subsets,
    Target,
    count,
    put_back,
    rows_of,
)

RATIO = (5**0.5 - 1) / 2


def build(
    target: Target, candidates: int, rng: np.random.Generator, pause: Callable[[], None]
) -> Built:
    """Approximate every kernel and bias by as many digits as there are candidates."""
    layers: dict[str, Layer] = {}
    found: dict[str, Doubles] = {}
    for name, matrix in rows_of(target).items():
        pause()
        scale = float(np.abs(matrix).max()) or 1.0
        numbers, num_drawn = _numbers(rng, len(matrix), candidates)
        subsets = _digits(matrix / scale, numbers)
        signed = np.concatenate([numbers[:, 0], -numbers[:, 1]], axis=1)
        found[name] = sums(signed, subsets) * scale
        layers[name] = Layer(
            subsets=subsets[None],
            errors=np.abs(found[name] - matrix)[None],
            drawn=num_drawn * matrix.shape[1],
            kept=count(subsets),
            units=0,
        )
    return Built(
        network=target.network, weights=put_back(target, found), layers=layers, scale=1.0
    )


def _numbers(rng: np.random.Generator, rows: int, digits: int) -> tuple[Doubles, int]:
    """One number for each row, sign and interval: (R, 2, k), the sign taken off.

    Returns:
        The numbers, and how many were drawn until every row had all of them.
    """
    found = np.zeros((rows, 2 * digits))
    drawn = 0
    waiting: NDArray[np.bool_] = np.ones(rows, np.bool_)
    while waiting.any():
        mine = np.flatnonzero(waiting)
        position = rng.uniform(0, digits, len(mine))
        interval = position.astype(np.int64)
        place = interval + digits * rng.integers(2, size=len(mine))
        free = found[mine, place] == 0
        found[mine[free], place[free]] = RATIO ** (1 + position[free])
        drawn += len(mine)
        waiting = (found == 0).any(axis=1)
    return found.reshape(rows, 2, digits), drawn


def _digits(targets: Doubles, numbers: Doubles) -> Subsets:
    """The digits of targets in [-1, 1]; those of negative ones in the upper k bits."""
    digits = numbers.shape[2]
    left = np.abs(targets)
    negative = targets < 0
    found = np.zeros(targets.shape, np.uint64)
    for digit in range(digits):
        number = np.where(negative, numbers[:, 1, digit, None], numbers[:, 0, digit, None])
        taken = left >= number
        left = left - np.where(taken, number, 0)
        found |= taken.astype(np.uint64) << np.where(
            negative, np.uint64(digit + digits), np.uint64(digit)
        )
    return found
