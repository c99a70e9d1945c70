"""The passes of ``core/training/score_passes``, compiled: each goes through memory once.

They give the same bits as those, but for the sign of a 0. Arrays are flat; bits of masks
come as bytes, because loops over bools are not compiled to vectors.
"""

import numpy as np
from numpy.typing import NDArray

from pipeline.core.arrays import Bytes, Floats
from pipeline.core.top_scores import Places
from pipeline.core.training.score_passes import Bits, Passes, Signs
from pipeline.engines.shared.caching import kernel
from pipeline.engines.shared.vectors import uint

CHUNK = 64
"""scores that are looked at together: most have nothing in doubt among them"""
UNIT = np.float32(2**16)
"""``DRAWS`` of those: a kernel's cache sees no number of ``core`` that changes"""
ZERO, HALF, ONE = np.float32(0), np.float32(0.5), np.float32(1)


@kernel
def _in_doubt(
    scores: Floats, low: np.float32, high: np.float32, kept: Bytes, places: Places
) -> int:
    number, whole, band = 0, len(scores) // CHUNK * CHUNK, (low, high)
    for chunk in range(0, whole, CHUNK):
        doubts = np.uint32(0)
        for i in range(CHUNK):
            at = uint(chunk) + uint(i)
            size, mark = abs(scores[at]), np.uint32(kept[at])
            doubts |= (np.uint32(size > low) ^ mark) | (np.uint32(size > high) ^ mark)
        if doubts:
            span = chunk, chunk + CHUNK
            number = _listed(scores, band, kept, span, places, number)
    rest = whole, len(scores)
    return int(_listed(scores, band, kept, rest, places, number))


@kernel
def _listed(
    scores: Floats,
    band: tuple[np.float32, np.float32],
    kept: Bytes,
    span: tuple[int, int],
    places: Places,
    number: int,
) -> int:
    """Append the places of a span that are in doubt; returns the number of all places."""
    for i in range(span[0], span[1]):
        size, mark = abs(scores[uint(i)]), kept[uint(i)] != 0
        if (size > band[0]) != mark or (size > band[1]) != mark:
            places[uint(number)] = i
            number += 1
    return number


@kernel
def times_sign(gradient: Floats, weights: Floats, scores: Floats) -> None:
    """Multiply a gradient by weights and by the signs of scores, in place."""
    for i in range(len(gradient)):
        score = scores[i]
        sign = ONE if score > ZERO else (-ONE if score < ZERO else score)
        gradient[i] = gradient[i] * weights[i] * sign


@kernel
def _draw(
    chances: Floats, drawn: NDArray[np.uint16], weights: Floats, kept: Bytes, out: Floats
) -> int:
    number = 0
    for i in range(len(chances)):
        chances[i] = chances[i] * HALF + HALF
        acts = np.float32(drawn[i]) < np.floor(chances[i] * UNIT)
        kept[i] = acts
        out[i] = weights[i] if acts else ZERO
        number += acts
    return number


@kernel
def times_slope(
    gradient: Floats,
    weights: Floats,
    chances: Floats,
    shared: np.float32,
    factor: np.float32,
) -> None:
    """Multiply a gradient by weights and by the slopes of their chances, in place."""
    for i in range(len(gradient)):
        chance = chances[i]
        rest = (gradient[i] * weights[i] - shared) * factor
        gradient[i] = rest * chance * (ONE - chance)


@kernel
def _turn(
    scores: Floats, weights: Floats, threshold: np.float32, kept: Bytes, out: Floats
) -> int:
    number = 0
    for i in range(len(scores)):
        score = scores[i]
        acts = abs(score) > threshold
        kept[i] = acts
        sign = ONE if score > ZERO else (-ONE if score < ZERO else score)
        out[i] = sign * weights[i] * (ONE if acts else ZERO)
        number += acts
    return number


@kernel
def spread(signs: Signs, size: np.float32, out: Floats) -> None:
    """Fill an array with signs, each 1, 0 or −1, times one size."""
    for i in range(len(signs)):
        out[i] = np.float32(signs[i]) * size


def in_doubt(
    scores: Floats, low: np.float32, high: np.float32, kept: Bits, places: Places
) -> int:
    """Where a size lies in a band, or beyond it without the mark for that."""
    return int(_in_doubt(scores, low, high, kept.view(np.uint8), places))


def draw(
    chances: Floats, drawn: NDArray[np.uint16], weights: Floats, kept: Bits, out: Floats
) -> int:
    """Say which weights act, by their chances and what was drawn; returns how many."""
    return int(_draw(chances, drawn, weights, kept.view(np.uint8), out))


def turn(
    scores: Floats, weights: Floats, threshold: np.float32, kept: Bits, out: Floats
) -> int:
    """Let weights act with the signs of scores whose sizes pass a threshold."""
    return int(_turn(scores, weights, threshold, kept.view(np.uint8), out))


COMPILED = Passes(
    in_doubt=in_doubt,
    times_sign=times_sign,
    draw=draw,
    times_slope=times_slope,
    turn=turn,
    spread=spread,
)
