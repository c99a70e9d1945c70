"""What the kernels of pruned fully connected networks are told, and their memory.

``kernels.py`` says how they are laid out.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pipeline.core.arrays import Floats, Integers
from pipeline.engines.shared.kernels import Examples, Tensor
from pipeline.engines.shared.vectors import Words

Shorts = NDArray[np.uint16]
"""for lists, which come from memory"""


class Wiring(NamedTuple):
    """Which unit reads what: fixed while a network trains."""

    visits: Words
    """units in the order of computation, once per part of what they read. A unit that
    reaches no logit is not among them"""
    starts: Words
    """where the kept weights of each visit begin; and the end"""
    sources: Words
    """row of the part (first layer) or unit that a kept weight reads; of weights on the
    rim: the unit that reads"""
    units: Words
    """the visited ones, layer by layer, in each from few to many outgoing weights"""
    first_units: Integers
    """where in ``units`` each layer begins; and the end"""
    first_parts: Integers
    """the first part of the inputs of each layer; and the end"""
    begins_sums: NDArray[np.bool_]
    """per part: whether sums begin there; those of the first layer do with the rim"""
    ends_sums: NDArray[np.bool_]
    """per part: whether it is the last of its layer"""
    first_visits: Integers
    """per part; and the end"""
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
    """of a part, at most; 0 if parts are channels, and stay packed"""
    num_hidden: int
    """units before the logits"""
    num_units: int


class Scaling(NamedTuple):
    """How pixels become inputs: x = scale · pixel + offset; 1 / std and -mean / std."""

    scale: Floats
    """per part of the first layer"""
    offset: Floats
    rim_scale: Floats
    """per row of the rim"""
    rim_offset: Floats


class Net(NamedTuple):
    """A network in training."""

    wiring: Wiring
    scaling: Scaling
    weights: Tensor
    biases: Tensor


class Arranged(NamedTuple):
    """A split, and an order for its examples: those alike side by side."""

    examples: Examples
    order: Integers
    labels: Integers
    """in that order"""


class Reads(NamedTuple):
    """Which rows of the pixel matrix the first layer reads."""

    units: Words
    """live ones"""
    starts: Words
    """where the reads of each begin; and the end"""
    rows: Words
    weights: Words
    """the position of each read's weight among all kept weights"""
    scales: Floats
    """of what is read"""
    scaled: Floats
    """room for the weights of all reads, times their scales"""


class Tiles(NamedTuple):
    """A split in the form in which few weights read it, made once per engine."""

    pixels: Words
    """the pixel matrices of one tile after the other, packed as in a workspace, without
    blank rows"""
    first_words: Integers
    """where each of them begins; and the end, twice"""
    order: Words
    """(tiles, live units of the first layer): their numbers in ``Reads``, in each tile
    from few to many reads"""
    starts: Words
    """where the reads of each begin; and the end"""
    rows: Shorts
    """of the tile: what is read, and not blank"""
    reads: Shorts
    """which of all that the unit reads this is"""


class Workspace(NamedTuple):
    """Matrices of one block of examples; rows begin at multiples of 64 bytes."""

    begins: Integers
    """where in the images each column begins"""
    pixels: Words | Floats
    """of bytes: left half of the columns in the lower 16 bits, right half in the upper"""
    is_lit: NDArray[np.bool_]
    """per row of the rim: whether it is not blank"""
    lit: Integers
    """the rows of the rim that are not blank, in as many places as there are"""
    block: Floats
    """unpacked and normalized rows of one part"""
    biases: Floats
    """with what blank rows add"""
    outputs: Floats
    gradients: Floats
    totals_of_units: Floats
    """gradients, summed over the examples"""
    shares: Floats
    """weight of each column in the mean loss; padding has 0"""
    peaks: Floats
    """largest logit of each column"""
    totals: Floats
    """sum of exp(logit - peak) of each column"""


class Source(NamedTuple):
    """What a unit reads: x = scale · matrix + offset."""

    matrix: Words | Floats
    scale: np.float32
    offset: np.float32
