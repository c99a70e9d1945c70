"""E-values: evidence about a mean or a share, valid whenever one stops adding seeds.

Source: Hendriksen, de Heide & Grünwald 2021, arXiv:1807.01077; Pérez-Ortiz et al. 2022,
arXiv:2208.07610 (t test with the right-Haar prior of the scale).
"""

import math
from collections.abc import Sequence

import numpy as np
from scipy import special


def e_value(values: Sequence[float], bound: float) -> float:
    """The e-value of a t test against "the mean is at most ``bound``".

    Under that hypothesis the chance that it ever reaches 1 / α, at whatever number of
    values one looks, is at most α. The prior of the effect is normal with a standard
    deviation of one, in units of that of the values. Source: Hendriksen, de Heide &
    Grünwald 2021, arXiv:1807.01077; Pérez-Ortiz et al. 2022, arXiv:2208.07610 (right-Haar
    prior of the scale).

    Args:
        values: independent, at least 2.
        bound: -inf gives infinity, inf gives 0.

    Returns:
        0 where the mean does not lie above the bound.

    >>> round(e_value([1.2, 0.8, 1.1, 0.9, 1.0], 0.0), 1)
    28.5
    """
    mean, num = math.fsum(values) / len(values), len(values)
    if math.isinf(bound) or mean <= bound:
        return math.inf if bound == -math.inf else 0.0
    error = float(np.std(values, ddof=1)) / math.sqrt(num)
    degrees = num - 1
    # t² / degrees; so large a t is as good as infinite, and keeps the ratio a number
    squared = min(((mean - bound) / error) ** 2 / degrees if error else 1e12, 1e12)
    ratio = (1 + squared) / (1 + squared / (1 + num))
    return float(ratio ** ((degrees + 1) / 2) / math.sqrt(1 + num))


def e_of_minority(successes: int, num: int) -> float:
    """The e-value against "a success has a chance of at least one half".

    Under that hypothesis the chance that it ever reaches 1 / α is at most α: it is the mean
    of likelihood ratios against one half, over all smaller chances. Source: Robbins 1970,
    Ann. Math. Statist. 41, 1397-1409 (mixtures of likelihood ratios).

    >>> round(e_of_minority(0, 7), 1), round(e_of_minority(3, 6), 2)
    (31.9, 0.46)
    """
    both = successes + 1, num - successes + 1
    below = float(special.betainc(*both, 0.5))
    if below == 0:
        return 0.0
    logarithm = float(special.betaln(*both)) + math.log(below) + (num + 1) * math.log(2)
    return math.exp(min(logarithm, 700.0))  # beyond it, a number has no exponential


def e_bounds(values: Sequence[float], level: float) -> tuple[float, float]:
    """The bounds at which the e-value reaches 1 / ``level``, below and above the mean.

    However one stops, each of them is wrong in at most ``level`` (a confidence sequence).

    Args:
        values: independent, at least 2.
        level: of each bound, in (0, 1).

    Returns:
        Infinite bounds where so few values cannot reach it.
    """
    num = len(values)
    mean = math.fsum(values) / num
    if math.isinf(needed := t_that_decides(num, level)):
        return -math.inf, math.inf
    half = needed * float(np.std(values, ddof=1)) / math.sqrt(num)
    return mean - half, mean + half


def t_that_decides(num: int, level: float) -> float:
    """The t of so many values at which their e-value reaches 1 / ``level``.

    Args:
        num: of values, at least 2.
        level: in (0, 1).

    Returns:
        Infinity where so few values cannot reach it.
    """
    ratio = (math.sqrt(1 + num) / level) ** (2 / num)
    if ratio >= 1 + num:
        return math.inf
    squared = (ratio - 1) / (1 - ratio / (1 + num))
    return math.sqrt(squared * (num - 1))
