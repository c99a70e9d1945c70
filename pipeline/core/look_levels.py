"""Find the level of a look, such that all looks together err as often as a single one."""

import math
from functools import cache

import numpy as np
from scipy import special

from pipeline.core.looks import ALPHA

SIMULATED = 200_000
"""number of experiments from which a level is found"""


@cache
def common(at: tuple[int, ...]) -> float:
    """The level of each look such that two-sided t tests of chance alone err in ALPHA.

    Used for one-sided tests it errs on the safe side.
    """
    if len(at) == 1:
        return ALPHA
    rng = np.random.Generator(np.random.Philox(key=1))
    sums = squares = np.zeros(SIMULATED)
    least, before = np.ones(SIMULATED), 0
    for num in at:
        drawn = rng.standard_normal((num - before, SIMULATED))
        sums, squares = sums + drawn.sum(axis=0), squares + (drawn**2).sum(axis=0)
        deviation = np.sqrt((squares - sums**2 / num) / (num - 1))
        t = np.abs(sums) / (deviation * math.sqrt(num))
        least = np.minimum(least, 2 * special.stdtr(num - 1, -t))
        before = num
    return math.floor(1e4 * float(np.quantile(least, ALPHA))) / 1e4
