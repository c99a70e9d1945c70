"""Permuted: the mask of another initialization, in the order of this network's units."""

from pipeline.core import matching
from pipeline.core.arrays import Mask
from pipeline.core.models import units
from pipeline.core.transforms.given import Given


def transform(given: Given) -> Mask:
    """Reorder hidden units as those of the mask's dense network match this one's.

    A mask fits the order of the units of the network that it was found for. Another
    initialization has them in another order, so that the control ``reinit`` asks two things
    at once: whether a ticket needs its weights, and whether its mask lies in the right
    places. With the start ``theta0`` of a task that draws other weights, a variant with the
    mask as it is and one with the permuted mask tell them apart; ``early`` begins later.

    Source: Adnan et al. 2025, arXiv:2505.05143. Deviations: how correlations are summed
    (``core/matching.py``); both dense networks see their examples in the same
    order, as all variants of a seed do.
    """
    assert given.data is not None, "the record says that it is needed"
    orders = matching.orders(given.network, given.dense, given.dense_source, given.data)
    return units.permuted(given.network, given.mask, orders)
