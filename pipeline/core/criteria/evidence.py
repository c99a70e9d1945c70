"""What a criterion may look at when it scores weights."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from pipeline.core.arrays import Mask, Weights
from pipeline.core.batches import Batch
from pipeline.core.models.layers import Network


@dataclass(frozen=True, kw_only=True, slots=True)
class Evidence:
    """All that any criterion looks at; none writes into it."""

    network: Network
    theta0: Weights
    """weights at step 0, not masked. Zhou et al. 2019 take what the scored training began
    with; the two are one for every chain that rewinds to θ₀"""
    trained: Weights
    """weights at the end of the training that is scored, whose pruned ones are 0; {}
    where none are needed"""
    mask: Mask
    """of the weights that are scored; values of pruned weights do not matter"""
    batches: Callable[[int], Iterator[Batch]] | None
    """training examples in batches of the size given, once through; nothing is read
    before it is called. None where none are needed"""
    rng: np.random.Generator | None
    """stream ``mask_sample`` of the round that is scored; None where none is needed"""
