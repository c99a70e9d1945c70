"""The input of a start: everything that it may look at, and the kernels it fills."""

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from pipeline.core.arrays import Floats, Mask, Weights
from pipeline.core.models.layers import Network, parameters


@dataclass(frozen=True, kw_only=True, slots=True)
class Given:
    """Everything that a start may look at; no start writes into it."""

    theta0: Weights
    """weights at step 0, not masked"""
    trained: Weights
    """trained weights of a previous round, pruned ones 0; {} if the start needs none"""
    early: Weights
    """weights of the dense network after its first steps; {} if the start needs none"""
    begun: Weights
    """weights with which the training began that the round's mask was cut from: in the
    first round and for another variant's masks θ₀; {} if the start needs none"""
    taken: Weights = field(default_factory=dict)
    """weights with which the round of the mask's variant began, pruned ones 0, as weights
    of this network; {} if the start needs none"""
    mask: Mask
    """mask of the round that starts; {} if the start needs none"""
    round: int
    """the round that starts, 1 or more"""
    network: Network
    init: str
    """how the network's kernels are drawn: a key of INITS"""
    rng: np.random.Generator
    """random stream ``reinit`` of the round and the draw"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Kernel:
    """One weight tensor of the network, with its initial values and its mask."""

    name: str
    initial: Floats
    """its values in θ₀"""
    kept: NDArray[np.bool_]
    """its mask; True everywhere if the mask has no entry for it"""


def kernels(given: Given) -> Iterator[Kernel]:
    """All kernels of the network, in layer order, including those never pruned."""
    for name, parameter in parameters(given.network).items():
        if parameter.role == "kernel":
            initial = given.theta0[name]
            kept = given.mask.get(name, np.ones(initial.shape, np.bool_))
            yield Kernel(name=name, initial=initial, kept=kept)
