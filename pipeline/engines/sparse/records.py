"""Arguments and working memory of the sparse kernels for fully connected networks.

``kernels.py`` explains the layout of matrices and weights.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pipeline.core.arrays import Floats, Integers
from pipeline.engines.shared.kernels import Examples, Tensor
from pipeline.engines.shared.vectors import Words

Shorts = NDArray[np.uint16]
"""short numbers, for long lists that are read from memory"""


class Wiring(NamedTuple):
    """Which unit reads which inputs; fixed while a network trains.

    A field that says where items begin has one entry more, for the end of the last.
    """

    visits: Words
    """units in the order of computation, once per part of their inputs, without units
    that reach no logit"""
    starts: Words
    """where the kept weights of each visit begin; and the end"""
    sources: Words
    """what a kept weight reads: a row of the part (first layer) or a unit; for weights on
    the rim, the unit that reads"""
    units: Words
    """all visited units, layer by layer, in each from few to many outgoing weights"""
    first_units: Integers
    """where in ``units`` each layer begins; and the end"""
    first_parts: Integers
    """the first part of the inputs of each layer; and the end"""
    begins_sums: NDArray[np.bool_]
    """per part: whether sums begin with it; sums of the first layer begin with the rim"""
    ends_sums: NDArray[np.bool_]
    """per part: whether it is the last of its layer"""
    first_visits: Integers
    """the first visit of each part; and the end"""
    reader_starts: Words
    """where in ``readers`` the kept outgoing weights of a hidden unit begin; and the end"""
    readers: Words
    """the unit at the other end of an outgoing weight"""
    reader_weights: Words
    """the position of that weight among all kept weights"""
    chunks: Integers
    """the pixel at which each run of 16 that is read begins"""
    places: Integers
    """row of the pixel matrix for each of these pixels: core, then rim, then one for
    all other pixels"""
    rows: Integers
    """per part of the first layer: its first row in the pixel matrix"""
    rim_starts: Words
    """where the weights on each row of the rim begin; and the end"""
    rim_ends: Integers
    """per row of the rim: the end of the rows of its channel"""
    num_core: int
    """rows of the pixel matrix that weights of visits read"""
    block_rows: int
    """the most rows of a part; 0 if parts are channels, and stay packed"""
    num_hidden: int
    """number of units before the logits"""
    num_units: int


class Scaling(NamedTuple):
    """How pixels become inputs: x = scale · pixel + offset.

    Scale is 1 / std and offset is -mean / std. Both are rounded: a pixel that equals the
    mean becomes an input of up to 1.2e-7 · mean / std, which is 0 in the reference. Where
    all of a batch have such a pixel, a gradient that is 0 in the reference is noise of that
    size here, and Adam makes whole steps of it.
    """

    scale: Floats
    """scale of each part of the first layer"""
    offset: Floats
    rim_scale: Floats
    """scale of each rim row"""
    rim_offset: Floats


class Net(NamedTuple):
    """A network in training."""

    wiring: Wiring
    scaling: Scaling
    weights: Tensor
    biases: Tensor


class Arranged(NamedTuple):
    """A split whose examples are ordered so that similar ones stand side by side."""

    examples: Examples
    order: Integers
    labels: Integers
    """labels in that order"""


class Reads(NamedTuple):
    """Which rows of the pixel matrix the first layer reads."""

    units: Words
    """the live units of the first layer"""
    starts: Words
    """where the reads of each unit begin; and the end"""
    rows: Words
    weights: Words
    """the position of each read's weight among all kept weights"""
    scales: Floats
    """scale of each read's pixels"""
    scaled: Floats
    """room for the weights of all reads, times their scales"""


class Tiles(NamedTuple):
    """A split in the form for evaluation with few kept weights, made once per engine."""

    pixels: Words
    """the pixel matrices of one tile after the other, packed as in a workspace, without
    blank rows"""
    first_words: Integers
    """where each tile's matrix begins; and the end, twice"""
    order: Words
    """(tiles, live units of the first layer): their numbers in ``Reads``, in each tile
    from few to many reads"""
    starts: Words
    """where the reads of each unit in a tile begin; and the end"""
    rows: Shorts
    """rows of the tile that are read, which are never blank"""
    reads: Shorts
    """number of each such read among all reads of its unit"""


class Workspace(NamedTuple):
    """Matrices of one block of examples; rows begin at multiples of 64 bytes."""

    begins: Integers
    """where in the images each column begins"""
    pixels: Words | Floats
    """the pixel matrix; bytes are packed, the left half of the columns in the lower 16
    bits, the right half in the upper"""
    is_lit: NDArray[np.bool_]
    """per row of the rim: whether it is not blank"""
    lit: Integers
    """the rim rows that are not blank come first; there is room for all rim rows"""
    block: Floats
    """unpacked and normalized rows of one part"""
    biases: Floats
    """biases together with what blank rows add"""
    outputs: Floats
    gradients: Floats
    totals_of_units: Floats
    """gradient of each unit's sum, summed over the examples"""
    shares: Floats
    """weight of each column in the mean loss; padding has 0"""
    peaks: Floats
    """largest logit of each column"""
    totals: Floats
    """sum of exp(logit - peak) of each column"""


class Source(NamedTuple):
    """The inputs of a unit: x = scale · matrix + offset."""

    matrix: Words | Floats
    scale: np.float32
    offset: np.float32
