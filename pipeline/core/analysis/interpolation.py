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
"""number of evenly spaced points on a line, both ends included, as in the paper"""
STABLE_BELOW = 0.02
"""the error barrier below which the paper calls a start stable"""

Doubles = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True, slots=True)
class Line:
    """Loss and error at the points between two networks, as columns in order of alpha."""

    alpha: Doubles
    """position on the line: 0 at the first network, 1 at the second"""
    loss: Doubles
    """mean cross-entropy"""
    error: Doubles
    """fraction of wrong answers; NaN where the loss is not finite, because the answers of
    such a network mean nothing"""


def interpolate(a: Weights, b: Weights, alpha: float) -> Weights:
    """(1 − alpha) · a + alpha · b in every tensor, running statistics of norms included.

    Double precision makes the ends equal to ``a`` and ``b`` bit for bit, and every point
    between two equal networks equal to both. A weight that is 0 in both is 0 on the whole
    line, and −∞ in both, as in the buffer of an attention mask, is −∞.

    Source: Frankle et al. 2020, arXiv:1912.05671, section 2. There, alpha runs the other
    way, and the statistics are interpolated with the rest of the state.

    Args:
        a: the network at alpha 0; where it differs from ``b`` it must be finite, or NaN
            reaches every point.
        b: the network at alpha 1, with the tensors and shapes of ``a``.
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
    """Evenly spaced points from 0 to 1, such that 1 − alpha is exactly a point, too.

    So the line from b to a has the same bits as the line from a to b. (Between 1/2 and 1
    the difference to 1 is exact, as Sterbenz has proven; below 1/2 it may be rounded.)

    Args:
        num_points: number of points, ≥ 2.
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
    """Evaluate error and loss at evenly spaced points between two networks.

    Args:
        a: the network at alpha 0.
        b: the network at alpha 1.
        evaluate: from ``evaluation.evaluator``, which uses interpolated statistics; to
            compute statistics anew at each point, apply ``evaluation.recalibrator``'s
            function first.
        num_points: number of points, ≥ 2.

    Raises:
        ValueError: if the networks differ in tensors or shapes.
    """
    alphas = evenly_spaced(num_points)
    seen = [evaluate(interpolate(a, b, float(alpha))) for alpha in alphas]
    loss = np.array([point.loss for point in seen], np.float64)
    error = 1 - np.array([point.accuracy for point in seen], np.float64)
    return Line(alpha=alphas, loss=loss, error=np.where(np.isfinite(loss), error, np.nan))


def error_barrier(errors: Doubles) -> float:
    """The greatest error on a line minus the mean of the errors at its two ends.

    It is at least half the difference of the ends, 0 between equal networks, and NaN if
    any error is NaN. The same formula gives the barrier of the loss.

    Source: Frankle et al. 2020, section 2 ("instability"); stable below 2 %.

    Args:
        errors: errors along the line as fractions, with the ends first and last.

    >>> round(error_barrier(np.array([0.1, 0.5, 0.3])), 3)
    0.3
    """
    return float(errors.max() - (errors[0] + errors[-1]) / 2)


def _between(a: Floats, b: Floats, alpha: float) -> Floats:
    # Convert both to double: times a Python number, a float32 array stays float32.
    first, second = a.astype(np.float64), b.astype(np.float64)
    with np.errstate(invalid="ignore"):  # 0 · ∞
        exact = (1 - alpha) * first + alpha * second
    return np.where(a == b, a, exact.astype(np.float32))
