"""Drawings: generated gray images of 28 × 28 pixels in ten classes; no download is needed.

A class is a pair of curves that were drawn at random once, as a letter has its strokes.
Each image has them drawn again, as by a hand: every point is moved, the whole is sheared,
scaled and shifted, and the pen is wider or narrower. So images are like those of MNIST in
shape and number of classes, and none of them is in MNIST: a ticket can be transferred to
them. Only sums, products and uniform draws make a pixel, and every machine has the same
ones.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.core import seeding

CLASSES = 10
SIZE = 28
"""height and width of an image"""
STROKES, POINTS = 2, 3
"""curves of a drawing, and points that shape a curve"""
UNIT = 9.5
"""pixels from the middle to the edge of the square in which classes have their points"""
MOVED = 0.3
"""farthest that a point moves along an axis, of the same unit"""
BENT = 0.25
"""most that shearing and scaling add to an entry of the identity"""
SHIFTED = 2.0
"""most pixels by which a drawing is shifted along an axis"""
PEN = (1.2, 2.6)
"""least and most ink of a pen; more than 1 is as black as 1, so that lines become wider"""
STEPS = 32
"""places along a curve where the pen leaves ink: less than a pixel apart"""
BLOCK = 200
"""images that are drawn at once"""

Numbers = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True, slots=True)
class Drawings:
    """Generated images, as many of each class."""

    images: int
    """number of all images, 100 to a million; MNIST has 70,000"""

    def __post_init__(self) -> None:
        """Refuse values out of range."""
        if not 100 <= self.images <= 1_000_000:
            raise ValueError(f"images is {self.images}; give a hundred to a million")


def arrays(asked: Drawings) -> dict[str, NDArray[Any]]:
    """The images and their classes, as ``arrays.dataset`` takes them, not divided.

    They come from stream ``drawing`` of seed 0. More images begin with those of fewer.

    Returns:
        ``inputs`` uint8 (N, 1, 28, 28), ink is light, and ``labels`` int64 (N,), which
        count 0 to 9 over and over.
    """
    rng = seeding.generator(0, "drawing")
    classes = 2 * rng.random((CLASSES, 2, STROKES, POINTS)) - 1
    labels = np.arange(asked.images) % CLASSES
    blocks = np.split(labels, range(BLOCK, asked.images, BLOCK))
    drawn = [_drawn(classes[block], rng) for block in blocks]
    return {"inputs": np.concatenate(drawn)[:, np.newaxis], "labels": labels}


def _drawn(points: Numbers, rng: np.random.Generator) -> NDArray[np.uint8]:
    """A drawing each of the points of its class, (n, 2, strokes, points) -> (n, 28, 28)."""
    num = len(points)
    # A row per image holds all its draws, so that an image depends on none behind it.
    width = points[0].size + 7
    moves, bends, shifts, pens = np.split(
        rng.random((num, width)), [width - 7, width - 3, width - 1], axis=1
    )
    points = points + MOVED * (2 * moves.reshape(points.shape) - 1)
    x, y = points[:, 0], points[:, 1]
    ((a, b), (c, d)) = np.eye(2)[..., None, None, None] + BENT * (
        2 * bends.T.reshape(2, 2, num, 1, 1) - 1
    )
    moved = np.stack([a * x + b * y, c * x + d * y], axis=1)
    middle = (SIZE - 1) / 2 + SHIFTED * (2 * shifts - 1)
    pixels = middle[:, :, None, None] + UNIT * _curves(moved)
    ink = np.minimum(_left(np.clip(pixels, 1, SIZE - 2.001)), 1)
    for axis in (1, 2):  # a pen is round and wider than a pixel
        ink = _spread(ink, axis)
    low, high = PEN
    dark = (low + (high - low) * pens[:, :, None]) * ink
    gray: NDArray[np.uint8] = np.rint(255 * np.minimum(dark, 1)).astype(np.uint8)
    return gray


def _curves(points: Numbers) -> Numbers:
    """Quadratic Bézier curves, (n, 2, strokes, 3) -> (n, 2, strokes, STEPS)."""
    at = np.arange(STEPS) / (STEPS - 1)
    first, middle, last = (points[..., i, np.newaxis] for i in range(POINTS))
    between: Numbers = (1 - at) ** 2 * first + 2 * at * (1 - at) * middle + at**2 * last
    return between


def _left(places: Numbers) -> Numbers:
    """The ink left at places between pixels, (n, 2, …) -> (n, 28, 28).

    A place gives its four pixels shares that add up to one.
    """
    num = len(places)
    cells, shares = zip(*_corners(places.reshape(num, 2, -1)), strict=True)
    image = SIZE * SIZE * np.arange(num)[:, np.newaxis]
    flat = np.concatenate([image + cell for cell in cells], axis=1)
    ink = np.concatenate(shares, axis=1).ravel()
    found = np.bincount(flat.ravel(), ink, num * SIZE * SIZE).astype(np.float64)
    return found.reshape(num, SIZE, SIZE)


def _spread(ink: Numbers, axis: int) -> Numbers:
    """Half of the ink stays in its pixel, and a quarter goes to either side."""
    spread = ink / 2
    quarter = np.moveaxis(ink / 4, axis, 0)
    beside = np.moveaxis(spread, axis, 0)  # a view
    beside[1:] += quarter[:-1]
    beside[:-1] += quarter[1:]
    return spread


def _corners(places: Numbers) -> Iterator[tuple[NDArray[np.int64], Numbers]]:
    """The cells around places, (n, 2, k), and each one's share of the ink, (n, k)."""
    begin = np.floor(places)
    part = places - begin
    column, row = begin.astype(np.int64).transpose(1, 0, 2)
    for right in (0, 1):
        for down in (0, 1):
            x = part[:, 0] if right else 1 - part[:, 0]
            y = part[:, 1] if down else 1 - part[:, 1]
            yield (row + down) * SIZE + column + right, x * y
