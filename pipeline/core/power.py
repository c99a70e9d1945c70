"""Compute how many seeds a decision needs, and how large an effect some seeds can see.

The numbers are those of a one-sided paired t test at the level of one look, from the
noncentral t (Johnson & Welch 1940, Biometrika 31, 362-389). The sign-flip test has nearly
the same power where values are normal; ``benchmarks/verdicts.py`` compares the two. Of
open-ended looks they are those of the e-value, which is a test of t as well.
"""

import math

from scipy import special

from pipeline.core import sign_flips
from pipeline.core.e_values import t_that_decides
from pipeline.core.looks import Looks

POWER = 0.8
MOST_SEEDS = 1000
"""where ``seeds_needed`` stops counting"""
SPAN = 0.8
"""confidence of the range in which the true standard deviation lies"""
LARGEST = 100.0
"""of the effects that are looked for, in standard deviations"""


def power(num: int, effect: float, looks: Looks) -> float:
    """The chance that a test of a true effect decides with so many seeds.

    Args:
        num: of seeds, at least 2.
        effect: distance of the true mean from the bound, in standard deviations of the
            paired differences, above 0.
        looks: give the level, one-sided.
    """
    shift = math.sqrt(num) * effect
    if looks.open:
        needed = t_that_decides(num, looks.level)
    else:
        needed = float(special.stdtrit(num - 1, 1 - looks.level))
    if shift > 2 * needed + 10:  # where the series of the noncentral t may not converge
        return 1.0
    return 1 - float(special.nctdtr(num - 1, shift, needed))


def seeds_needed(std: float, difference: float, looks: Looks, bounds: int = 1) -> int:
    """How many seeds see a difference in 4 of 5 cases.

    Args:
        std: standard deviation of the paired differences.
        difference: distance of the true mean from the bound, above 0.
        looks: give the level, and the least number.
        bounds: how many tests must succeed, such as 2 of an equivalence: each may then
            fail with that part of the probability 1 - POWER.

    Returns:
        A number from the first look to MOST_SEEDS; the latter stands for "or more".
    """
    enough = 1 - (1 - POWER) / bounds
    first = max(looks.first, sign_flips.least_values(looks.level))
    if std == 0:
        return first
    effect = difference / std
    return next(
        (n for n in range(first, MOST_SEEDS) if power(n, effect, looks) >= enough),
        MOST_SEEDS,
    )


def spread_of(std: float, num: int) -> tuple[float, float]:
    """The range in which the true standard deviation lies, at SPAN, for normal values.

    Args:
        std: of a sample.
        num: size of the sample, at least 2.
    """
    low, high = (1 - SPAN) / 2, (1 + SPAN) / 2
    least, most = (float(special.chdtri(num - 1, 1 - q)) for q in (low, high))
    return std * math.sqrt((num - 1) / most), std * math.sqrt((num - 1) / least)


def effect_seen(num: int, looks: Looks, bounds: int = 1) -> float:
    """The effect, in standard deviations, that so many seeds see in 4 of 5 cases.

    Args:
        num: of seeds.
        looks: give the level, one-sided.
        bounds: how many tests must succeed, as for ``seeds_needed``.
    """
    enough, low, high = 1 - (1 - POWER) / bounds, 0.0, LARGEST
    while high - low > 1e-3:
        middle = (low + high) / 2
        low, high = (low, middle) if power(num, middle, looks) >= enough else (middle, high)
    return high
