"""What the kernels of pruned convolutional networks are told, and the memory they use.

16 examples stand side by side in a vector. Planes are (height + 2, channels, width + 2, 16)
with a border of zeros.
"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pipeline.core.arrays import Floats, Integers
from pipeline.engines.shared.kernels import Tensor
from pipeline.engines.shared.vectors import HAS_AVX512, LANES, Shape, TileShape, Words

NUM_BLOCKS = 4
"""blocks in a group: what the fully connected layers treat at once"""
WIDTH = LANES * NUM_BLOCKS
GROUP: Shape = (0,) * NUM_BLOCKS
"""of the vector that holds a unit of a group"""

_WIDE = ((1, 28), (2, 14), (4, 7), (3, 7), (1, 16), (2, 8), (4, 4), (3, 3), (1, 4), (1, 1))
_NARROW = ((1, 7), (1, 4), (1, 1))
TILES = _WIDE if HAS_AVX512 else _NARROW
"""(rows, columns) that are compiled: their sums of 16 examples fit the registers"""
SHAPES: tuple[TileShape, ...] = tuple(
    ((0,) * rows, (0,) * columns) for rows, columns in TILES
)

CONV = np.dtype(
    [
        (name, np.int64)
        for name in (
            "inputs",
            "outputs",
            "height",
            "width",
            "first_input",  # its channels among those of the whole network, image first
            "first_output",
            "source",  # where its planes begin in a block's memory
            "target",
            "behind",  # where those behind its pool begin; UNITS; NO_POOL
            "first_tile",
            "end_tile",
        )
    ]
)
"""A convolution with its ReLU and, maybe, pool."""
UNITS = -1
"""behind this pool there are no planes but the units of the first linear layer"""
NO_POOL = -2
Conv = Any  # a record of dtype CONV, in compiled code
Place = tuple[np.uint64, np.uint64]
"""where a tile begins in memory, and the distance of its rows"""


class Wiring(NamedTuple):
    """What reads what: fixed while a network trains."""

    convs: NDArray[np.void]
    """of dtype CONV"""
    tiles: Integers
    """(tiles, 4): rows and columns (one of TILES), first row, first column"""
    live: NDArray[np.bool_]
    """per channel: whether it reaches a logit; the others are never computed"""
    starts: Integers
    """per output channel: where in ``sources`` its kept weights begin; and the end"""
    sources: Words
    """from a tile's first position (in the border's row and column) to what is read"""
    positions: Words
    """where that weight is among all weights"""
    reader_starts: Integers
    """per input channel: where its weights begin among all; and the end"""
    readers: Words
    """likewise from a tile to the gradients, weight by weight"""
    unit_starts: Integers
    """per unit that is not a logit: where its weights begin among all; and the end"""
    unit_readers: Words
    """the row of memory of the unit at the other end, from the first linear weight on"""
    unit_layers: Integers
    """the first unit of each layer: the image's, the hidden ones', the logits; the end"""
    unit_biases: Integers
    """per unit: its bias, or that of its channel"""
    values: Floats
    """(image channels, 256): the normalized values of bytes"""


class Net(NamedTuple):
    """A network in training."""

    wiring: Wiring
    weights: Tensor
    biases: Tensor


class Order(NamedTuple):
    """Which example each step sees, and how flip-crop moves it."""

    examples: Integers
    """(steps, B)"""
    flips: NDArray[np.bool_]
    """(steps, B)"""
    shifts: Integers
    """(steps, B, 2): the pixel at the upper left corner of what is seen; 0, 0: not moved"""


class Workspace(NamedTuple):
    """Memory for one group of examples; everything begins at multiples of 64 bytes."""

    planes: Floats
    """(NUM_BLOCKS, size): all planes of the images and of the convolutions' outputs"""
    plane_gradients: Floats
    """(size,), of one block"""
    values: Floats
    """the convolutions' weights in the order of ``sources``"""
    sums: Floats
    """(convolutions' weights · 16): gradients by column, added up at the step's end"""
    units: Floats
    """(units · WIDTH,): outputs; of hidden units and logits at first without ReLU"""
    unit_gradients: Floats
