"""Elementwise operations on the scores of a tensor, one per part of a step.

They say in numpy what is right. An engine may hand its own functions to a rule, which make
the same bits, but for the sign of a 0, in one pass each: an array of this size does not
stay in the processor's cache, so that every pass over it costs about a tenth of a step.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.core import top_scores
from pipeline.core.arrays import Floats

Bits = NDArray[np.bool_]
Signs = NDArray[np.int8]
DRAWS = 2**16
"""equally likely values of a draw"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Passes:
    """Functions of flat arrays of equal size, as those of this module."""

    in_doubt: top_scores.InDoubt
    times_sign: Callable[[Floats, Floats, Floats], None]
    draw: Callable[[Floats, NDArray[np.uint16], Floats, Bits, Floats], int]
    times_slope: Callable[[Floats, Floats, Floats, np.float32, np.float32], None]
    turn: Callable[[Floats, Floats, np.float32, Bits, Floats], int]
    spread: Callable[[Signs, np.float32, Floats], None]


def times_sign(gradient: Floats, weights: Floats, scores: Floats) -> None:
    """Multiply a gradient by weights and by the signs of scores, in place."""
    gradient *= weights
    gradient *= np.sign(scores)


def draw(
    chances: Floats, drawn: NDArray[np.uint16], weights: Floats, kept: Bits, out: Floats
) -> int:
    """Say which weights act, by their chances and what was drawn; returns how many.

    Args:
        chances: as 2 p − 1, each in [−1, 1]; filled with the chances p.
        drawn: each of 0 … DRAWS − 1.
        weights: as they act.
        kept: filled with whether a weight acts: as often as its chance says, rounded down
            to a multiple of 1 / DRAWS.
        out: filled with the weights that act, 0 elsewhere.
    """
    chances *= np.float32(0.5)
    chances += np.float32(0.5)
    np.less(drawn, np.floor(chances * np.float32(DRAWS)), out=kept)
    np.multiply(weights, kept, out=out)
    return int(np.count_nonzero(kept))


def times_slope(
    gradient: Floats,
    weights: Floats,
    chances: Floats,
    shared: np.float32,
    factor: np.float32,
) -> None:
    """Multiply a gradient by weights and by the slopes of their chances, in place.

    Between the two, ``shared`` is taken away and the rest multiplied by ``factor``. Where
    ``shared`` is not 0, compiled code may round the last bit otherwise.
    """
    gradient *= weights
    gradient -= shared
    gradient *= factor
    gradient *= chances
    gradient *= np.float32(1) - chances


def turn(
    scores: Floats, weights: Floats, threshold: np.float32, kept: Bits, out: Floats
) -> int:
    """Let weights act with the signs of scores whose sizes pass a threshold.

    Returns how many act.

    Args:
        scores: whose signs and sizes count; where one is NaN, so is the weight.
        weights: as they were drawn.
        threshold: that a size has to pass.
        kept: filled with whether it does.
        out: filled with the weights that act, ±0 elsewhere.
    """
    np.greater(np.abs(scores), threshold, out=kept)
    np.multiply(np.sign(scores) * weights, kept, out=out)
    return int(np.count_nonzero(kept))


def spread(signs: Signs, size: np.float32, out: Floats) -> None:
    """Fill an array with signs, each 1, 0 or −1, times one size."""
    np.multiply(signs, size, out=out)


PLAIN = Passes(
    in_doubt=top_scores.in_doubt,
    times_sign=times_sign,
    draw=draw,
    times_slope=times_slope,
    turn=turn,
    spread=spread,
)
"""the functions of this module"""
