"""What a start may be made of, and the kernels it is made for."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.core.arrays import Floats, Mask, Weights
from pipeline.core.models.layers import Network, parameters


@dataclass(frozen=True, kw_only=True, slots=True)
class Given:
    """All that any start looks at; none writes into it."""

    theta0: Weights
    """not masked"""
    trained: Weights
    """weights of a previous round, whose pruned ones are 0; {} where none are needed"""
    early: Weights
    """of the dense network after the first steps; {} where none are needed"""
    mask: Mask
    """of the round that starts; {} where none is needed"""
    round: int
    """the round that starts, 1 or more"""
    network: Network
    init: str
    """how the network's kernels are drawn: a key of INITS"""
    rng: np.random.Generator
    """stream ``reinit`` of the round and the draw"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Kernel:
    """One weight tensor of the network: kernels are what starts differ in."""

    name: str
    initial: Floats
    """its values in θ₀"""
    kept: NDArray[np.bool_]
    """its mask; True everywhere where the mask has no entry for it"""


def kernels(given: Given) -> Iterator[Kernel]:
    """The kernels of the network, in layer order, also those that are never pruned."""
    for name, parameter in parameters(given.network).items():
        if parameter.role == "kernel":
            initial = given.theta0[name]
            kept = given.mask.get(name, np.ones(initial.shape, np.bool_))
            yield Kernel(name=name, initial=initial, kept=kept)
