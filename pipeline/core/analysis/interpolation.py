"""Linear mode connectivity: error and loss along the straight line between two networks.

Instability analysis (Frankle et al. 2020, arXiv:1912.05671): two copies of one start are
trained on different data orders; where the error on the line between them rises less
than 2 % above its ends, the start is stable.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.core.arrays import Floats, Weights
from pipeline.core.training.engine import Evaluation

NUM_POINTS = 30
"""evenly spaced points on a line, both ends included, as in the paper"""
STABLE_BELOW = 0.02
"""the error barrier below which the paper calls a start stable"""

Doubles = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True, slots=True)
class Line:
    """What was seen between two networks, as columns in order of alpha."""

    alpha: Doubles
    """0 at the first network, 1 at the second"""
    loss: Doubles
    """mean cross-entropy"""
    error: Doubles
    """a fraction; NaN where the loss is not finite, because chance is no finding"""


def interpolate(a: Weights, b: Weights, alpha: float) -> Weights:
    """(1 − alpha) · a + alpha · b in every tensor, running statistics of norms included.

    Computed in double precision: the ends are ``a`` and ``b`` bit for bit, as is every
    point between two equal networks, and a weight of 0 in both is 0 on the whole line.

    Source: Frankle et al. 2020, arXiv:1912.05671, section 2, where alpha runs the other
    way and the statistics are interpolated with the rest of the state.

    Args:
        a: where alpha is 0; finite, or NaN reaches every point.
        b: where alpha is 1; the tensors and shapes of ``a``.
        alpha: in [0, 1].

    Raises:
        ValueError: if the networks differ in tensors or shapes.
    """
    shapes_a, shapes_b = ({n: w.shape for n, w in end.items()} for end in (a, b))
    if shapes_a != shapes_b:
        raise ValueError(
            f"no line between different networks: {shapes_a} and {shapes_b}; "
            "take two trainings of one model"
        )
    return {name: _between(a[name], b[name], alpha) for name in a}


def evenly_spaced(num_points: int) -> Doubles:
    """Points from 0 to 1, so that 1 − alpha is exactly the point at the mirrored place.

    So the line from b to a shows the bits of the line from a to b. (Between 1/2 and 1
    the difference to 1 is exact, as Sterbenz has proven; below it may be rounded.)

    Args:
        num_points: ≥ 2.
    """
    upper = np.linspace(0, 1, num_points)[num_points // 2 :]
    return np.concatenate([1 - upper[::-1][: num_points // 2], upper])


def along_line(
    a: Weights,
    b: Weights,
    evaluate: Callable[[Weights], Evaluation],
    *,
    num_points: int = NUM_POINTS,
) -> Line:
    """Error and loss at evenly spaced points between two networks.

    Args:
        a: where alpha is 0.
        b: where alpha is 1.
        evaluate: from ``evaluation.evaluator`` (interpolated statistics) or
            ``evaluation.recalibrating`` (statistics made anew at each point).
        num_points: ≥ 2.

    Raises:
        ValueError: if the networks differ in tensors or shapes.
    """
    alphas = evenly_spaced(num_points)
    seen = [evaluate(interpolate(a, b, float(alpha))) for alpha in alphas]
    loss = np.array([point.loss for point in seen], np.float64)
    error = 1 - np.array([point.accuracy for point in seen], np.float64)
    return Line(alpha=alphas, loss=loss, error=np.where(np.isfinite(loss), error, np.nan))


def error_barrier(errors: Doubles) -> float:
    """How far a line rises above the mean of its two ends: max error − mean of the ends.

    At least half the difference of the ends, 0 between equal networks; NaN if any of the
    errors is. The same formula gives the barrier of the loss.

    Source: Frankle et al. 2020, section 2 ("instability"); stable below 2 %.

    Args:
        errors: along the line, the ends first and last; fractions.

    >>> round(error_barrier(np.array([0.1, 0.5, 0.3])), 3)
    0.3
    """
    return float(errors.max() - (errors[0] + errors[-1]) / 2)


def _between(a: Floats, b: Floats, alpha: float) -> Floats:
    # Both in double: times a Python number, a float32 array stays float32.
    exact = (1 - alpha) * a.astype(np.float64) + alpha * b.astype(np.float64)
    return exact.astype(np.float32)
