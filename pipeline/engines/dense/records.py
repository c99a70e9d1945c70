"""Values that the kernels of the fully connected dense engine take."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pipeline.core.arrays import Floats, Integers
from pipeline.engines.shared.kernels import Rule, Tensor

Bits = NDArray[np.uint16]


class Layers(NamedTuple):
    """The sizes and places of all layers; each field has one number per layer."""

    inputs: Integers
    outputs: Integers
    strides: Integers
    """length of a row of weights: the number of inputs, rounded up to a multiple of 16"""
    first_weights: Integers
    """where the layer's weights begin"""
    first_units: Integers
    """number of the layer's first unit"""


class Net(NamedTuple):
    """A network in training."""

    layers: Layers
    weights: Tensor
    biases: Tensor
    kept: Bits
    """one bit per weight, set where it is kept and so where its gradient counts"""
    mean: Floats
    """mean of the raw pixels, one per channel"""
    std: Floats


class Workspace(NamedTuple):
    """Matrices of one block of examples; rows begin at multiples of 64 bytes."""

    width: int
    """number of examples in a block"""
    inputs: Floats
    """inputs of the first layer, one row per example"""
    columns: Floats
    """inputs of the first layer, one column per example"""
    hidden: Floats
    """inputs of another layer, one row per example; padding holds arbitrary numbers"""
    outputs: Floats
    gradients: Floats
    found: Floats
    """gradients of some weights, on their way to the optimizer"""
    shares: Floats
    peaks: Floats
    totals: Floats


class Update(NamedTuple):
    """How the gradients of a block of examples are used."""

    rule: Rule
    step: int
    is_first: bool
    """whether it is the first block of a batch; else its gradients add to present ones"""
    is_last: bool
    """whether it is the last block of a batch, after which the weights are updated"""
    num_examples: int
