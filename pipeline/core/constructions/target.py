"""The network that a construction approximates, and what it finds."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.core.arrays import Weights
from pipeline.core.models.layers import Network, kernels

Doubles = NDArray[np.float64]
Subsets = NDArray[np.uint64]
"""for each weight, the candidates that are kept: bit k stands for candidate k"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Target:
    """A trained network."""

    network: Network
    weights: Weights
    """finite; a pruned weight is 0 and needs no candidate"""
    signed: bool
    """whether a value of its inputs may be negative"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Layer:
    """What a construction found for one kernel and its bias."""

    subsets: Subsets
    """(signs, outputs, inputs [+ 1]); a bias is the weight of one more input, always 1.
    A second sign stands for negative values of the inputs"""
    errors: Doubles
    """|approximation - weight| in the target's unit, shaped as the subsets"""
    drawn: int
    """random weights among which these subsets were sought"""
    kept: int
    """random weights that the subnetwork keeps"""
    units: int
    """random units drawn for it, those that turned out useless included; 0 where a
    construction has none"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Built:
    """The subnetwork of a random network, and how it was found.

    ``network`` and ``weights`` compute what the subnetwork computes, with the sum over
    each subset as one weight, so that a network of millions of random weights can be
    evaluated at the cost of its target.
    """

    network: Network
    weights: Weights
    layers: dict[str, Layer]
    """by kernel"""
    scale: float
    """the subnetwork's outputs times this are the logits"""


def rows_of(target: Target) -> dict[str, Doubles]:
    """Kernels as matrices (outputs, inputs [+ 1 for the bias]), in layer order."""
    found = {}
    for name in kernels(target.network):
        values = target.weights[name].astype(np.float64)
        matrix = values.reshape(len(values), -1)
        bias = target.weights.get(bias_of(name))
        if bias is not None:
            matrix = np.concatenate([matrix, bias[:, None]], axis=1)
        found[name] = matrix
    return found


def put_back(target: Target, found: dict[str, Doubles]) -> Weights:
    """The target's weights with these matrices in place of kernels and their biases."""
    weights = dict(target.weights)
    for name, matrix in found.items():
        shape = weights[name].shape
        num = weights[name][0].size
        weights[name] = matrix[:, :num].reshape(shape).astype(np.float32)
        if matrix.shape[1] > num:
            weights[bias_of(name)] = matrix[:, num].astype(np.float32)
    return weights


def bias_of(kernel: str) -> str:
    """The name that the bias of a kernel has, if there is one."""
    return kernel.removesuffix("weight") + "bias"


def count(subsets: Subsets) -> int:
    """The number of candidates that are kept, over all subsets."""
    return int(np.bitwise_count(subsets).sum(dtype=np.int64))
