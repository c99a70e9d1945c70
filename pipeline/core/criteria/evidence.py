"""The evidence that a criterion may look at, and its possible answers beside scores."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from pipeline.core.arrays import Integers, Mask, Weights
from pipeline.core.batches import Batch
from pipeline.core.description import Description
from pipeline.core.models.layers import Network


@dataclass(frozen=True, kw_only=True, slots=True)
class Evidence:
    """Everything that a criterion may look at; no criterion writes into it."""

    network: Network
    data: Description
    """what the examples are for which the network was built"""
    begun: Weights
    """weights with which the scored training began: θ₀, or in a later round of a chain
    what its previous round began with; the values of pruned weights do not matter"""
    trained: Weights
    """weights at the end of the scored training, pruned ones 0; {} where the criterion
    needs none"""
    mask: Mask
    """mask under which the scored training ran; the values of pruned weights do not
    matter"""
    batches: Callable[[int], Iterator[Batch]] | None
    """takes a batch size and yields every training example once, the last batch being
    smaller if they do not come out even; it reads nothing before it is called. None where
    the criterion needs no examples"""
    rng: np.random.Generator | None
    """stream ``mask_sample`` of the scored round; None where neither scores nor ties
    need chance"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Visits:
    """The weights of one tensor that walks through the network visit."""

    tensor: str
    walks: Integers
    """number of the walk, int64 (V,)"""
    places: Integers
    """position of the weight in its tensor, in C order, int64 (V,)"""


Walks = Callable[[Mask], list[Visits]]
"""Takes what earlier walks have visited, and gives what the next ones visit; walks that
visit nothing new may be missing among them."""
