"""Elastic: the mask of a deeper or shallower network of the family, block by block."""

from pipeline.core.arrays import Mask
from pipeline.core.models import blocks
from pipeline.core.transforms.given import Given


def transform(given: Given) -> Mask:
    """Give each block of the network the mask of the source's block that stands for it.

    A deeper network repeats blocks (stretching), a shallower one drops some (squeezing).
    The density of the result is not that of the source, because blocks have different
    densities; tables and figures show the one that is reached.

    Source: Chen et al. 2021, arXiv:2103.16547 (Elastic Lottery Ticket Hypothesis). The
    start ``taken`` carries the weights over in the same way. Deviation: there blocks that
    a mapping leaves out stay dense; here every block has a source.
    """
    standing = blocks.tensors(given.source, given.network, given.blocks)
    return {
        name: given.mask[other].copy()
        for name, other in standing.items()
        if other in given.mask
    }
