"""The masks, networks and random stream that a transform may look at."""

from dataclasses import dataclass, field

import numpy as np

from pipeline.core.arrays import Mask
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
    rng: np.random.Generator
    """random stream ``mask_shuffle`` of the round and the variant"""
