"""Arguments and working memory of the kernels for networks with batch norm.

A network is a list of operations on planes. Each runs over all blocks of 16 examples
before the next begins, since a norm needs the statistics of the whole batch. Planes are
those of ``records.py``.
"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pipeline.core.arrays import Floats, Integers
from pipeline.engines.shared.kernels import Tensor
from pipeline.engines.shared.vectors import Words

CONVOLVE, NORMALIZE, SPLIT, POOL = range(4)
"""the kinds of operations. A split lays the even and odd rows and columns of each channel
side by side as four channels, so that a convolution of stride 2 behind it has stride 1"""
NOTHING = -1
EPSILON = 1e-5
"""added to the variance, as in ``core/models/forward.py``, which needs torch"""
MOMENTUM = 0.1
"""share of a batch in the running statistics, as there"""

OP = np.dtype(
    [
        (name, np.int64)
        for name in (
            "kind",
            "source",  # where the planes that it reads begin in a block's memory
            "target",  # where those that it writes begin
            "source_gradient",  # where gradients begin in a block's memory of gradients
            "target_gradient",
            "inputs",  # channels
            "outputs",
            "height",  # of the planes that it reads
            "width",
            "adds",  # whether these gradients hold a part already, on the way back
            "is_first",  # whether it reads images, split or not, which need no gradients
            "first_input",  # a convolution's channels among those of all convolutions
            "first_output",
            "first_tile",
            "end_tile",
            "norm",  # first channel of its norm, or of the norm behind it, among all norms
            "rectified",  # whether a norm ends with a ReLU
            "other",  # planes that a norm adds to its own; NOTHING
            "other_gradient",
            "other_adds",
        )
    ]
)
Op = Any  # a record of dtype OP, in compiled code


class NormedWiring(NamedTuple):
    """Operations, and which channel reads which; fixed while a network trains.

    A field that says where items begin has one entry more, for the end of the last.
    """

    convs: NDArray[np.void]
    """the operations, of dtype OP"""
    tiles: Integers
    """(tiles, 4): rows and columns, first row, first column"""
    starts: Integers
    """per output channel of convolutions: where its weights begin in ``sources``"""
    sources: Words
    """for each kept weight, the distance in memory from a tile's first position (in the
    border's row and column) to the input that it reads"""
    positions: Words
    """position of each of these weights among all weights"""
    reader_starts: Integers
    """per input channel of convolutions: where its weights begin among all"""
    readers: Words
    """for each weight, the distance from a tile's first position to the gradients"""
    unit_starts: Integers
    """per logit: where its weights begin among all"""
    unit_sources: Words
    """from the first linear weight on, the channel whose mean it reads"""
    values: Floats
    """(image channels, 256): the normalized values of bytes"""
    last: Integers
    """the planes whose means are the features: where they and their gradients begin,
    channels, height, width"""


class Running(NamedTuple):
    """The running statistics of all norms, by channel."""

    means: Floats
    variances: Floats


class NormedNet(NamedTuple):
    """A network in training."""

    wiring: NormedWiring
    weights: Tensor
    biases: Tensor
    """scales of all norms, their shifts, and biases of the logits"""
    running: Running


class NormedWorkspace(NamedTuple):
    """Memory for a batch; everything begins at multiples of 64 bytes."""

    planes: Floats
    """(blocks, size)"""
    gradients: Floats
    """(blocks, size of the gradients)"""
    values: Floats
    """the convolutions' weights in the order of ``sources``"""
    sums: Floats
    """gradients of the convolutions' weights by column, (weights · 16,)"""
    lanes: Floats
    """(blocks · 16,): 1 for examples, 0 for padding"""
    totals: NDArray[np.float64]
    """per channel of norms: a sum over the batch"""
    squares: NDArray[np.float64]
    """another: of squares, or of products"""
    numbers: Floats
    """(channels of norms, 4): mean, 1 / standard deviation, and two numbers of a pass"""
    units: Floats
    """means of the last planes' channels, (channels, blocks · 16)"""
    unit_gradients: Floats
    logits: Floats
    """(classes, blocks · 16)"""
    logit_gradients: Floats
