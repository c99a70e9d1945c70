"""The masks, networks and random stream that a transform may look at."""

from dataclasses import dataclass, field

import numpy as np

from pipeline.core.arrays import Mask, Weights
from pipeline.core.batches import Dataset
from pipeline.core.models.blocks import Blocks
from pipeline.core.models.layers import Network


@dataclass(frozen=True, kw_only=True, slots=True)
class Given:
    """Everything that a transform may look at; no transform writes into it."""

    mask: Mask
    """the mask that is taken; it fits ``source``"""
    source: Network
    """the network that the mask was found for"""
    network: Network
    """the network that is to be masked; the same one unless the transform is between
    networks"""
    blocks: Blocks = field(default_factory=Blocks)
    """which blocks of the source stand for those of the network, for transforms that ask"""
    dense: Weights = field(default_factory=dict)
    """trained weights of the dense network that the start belongs to; {} if the transform
    needs none"""
    dense_source: Weights = field(default_factory=dict)
    """those of the dense network that the mask was found in"""
    data: Dataset | None = None
    """the data set of the network; None if the transform needs no dense networks"""
    rng: np.random.Generator
    """random stream ``mask_shuffle`` of the round and the variant"""
