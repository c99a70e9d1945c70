"""Arguments and working memory of the sparse kernels for convolutional networks.

A vector holds 16 examples side by side. Planes are (height + 2, channels, width + 2, 16)
with a border of zeros.
"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pipeline.core.arrays import Floats, Integers
from pipeline.engines.shared.kernels import Tensor
from pipeline.engines.shared.vectors import HAS_AVX512, LANES, Shape, TileShape, Words

NUM_BLOCKS = 4
"""number of blocks in a group, which the fully connected layers compute at once"""
WIDTH = LANES * NUM_BLOCKS
GROUP: Shape = (0,) * NUM_BLOCKS
"""shape of the vector that holds one unit for a group of examples"""

_WIDE = ((1, 28), (2, 14), (4, 7), (3, 7), (1, 16), (2, 8), (4, 4), (3, 3), (1, 4), (1, 1))
_NARROW = ((1, 7), (1, 4), (1, 1))
TILES = _WIDE if HAS_AVX512 else _NARROW
"""(rows, columns) of the compiled tiles, whose sums of 16 examples fit the registers"""
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
"""A convolution with its ReLU and, if there is one, its pool."""
UNITS = -1
"""marks a pool whose outputs are the units that the first linear layer reads, not planes"""
NO_POOL = -2
Conv = Any  # a record of dtype CONV, in compiled code
Place = tuple[np.uint64, np.uint64]
"""where a tile begins in memory, and the distance of its rows"""


class Wiring(NamedTuple):
    """Which unit or channel reads which inputs; fixed while a network trains.

    A field that says where items begin has one entry more, for the end of the last.
    """

    convs: NDArray[np.void]
    """the convolutions, of dtype CONV"""
    tiles: Integers
    """(tiles, 4): rows and columns (one of TILES), first row, first column"""
    live: NDArray[np.bool_]
    """per channel: whether it reaches a logit; the others are never computed"""
    starts: Integers
    """per output channel: where in ``sources`` its kept weights begin; and the end"""
    sources: Words
    """for each kept weight, the distance in memory from a tile's first position (in the
    border's row and column) to the input that it reads"""
    positions: Words
    """position of each of these weights among all weights"""
    reader_starts: Integers
    """per input channel: where its weights begin among all; and the end"""
    readers: Words
    """for each weight, the distance from a tile's first position to the gradients"""
    unit_starts: Integers
    """per unit that is not a logit: where its weights begin among all; and the end"""
    unit_readers: Words
    """from the first linear weight on, the row of memory of the unit that reads it"""
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
    """Which examples each step sees, and how flip-crop moves them."""

    examples: Integers
    """positions of the examples, (steps, B)"""
    flips: NDArray[np.bool_]
    """whether each example is flipped, (steps, B)"""
    shifts: Integers
    """the pixel at the upper left corner of each moved image, (steps, B, 2); 0, 0 leaves
    the image in its place"""


class Workspace(NamedTuple):
    """Memory for one group of examples; everything begins at multiples of 64 bytes."""

    planes: Floats
    """(NUM_BLOCKS, size): all planes of the images and of the convolutions' outputs"""
    plane_gradients: Floats
    """gradients of all these planes, for one block, (size,)"""
    values: Floats
    """the convolutions' weights in the order of ``sources``"""
    sums: Floats
    """gradients of the convolutions' weights by column, (weights · 16,); they are added up
    at the end of a step"""
    units: Floats
    """outputs of all units, (units · WIDTH,); ReLU is applied to hidden units later"""
    unit_gradients: Floats
