"""Cuts: what has been learned about a network -> the mask of its next round.

The algorithm ranks weights by a criterion and keeps the best, exactly as many as are
asked for (``ranked``). Programs that prune in another way have a cut of their own.
"""

from dataclasses import dataclass

from pipeline.core import masks
from pipeline.core.arrays import Mask
from pipeline.core.criteria.evidence import Evidence
from pipeline.core.cuts.asked import Asked
from pipeline.core.registry import Entry, Registry


@dataclass(frozen=True, kw_only=True, slots=True)
class Cut(Entry):
    """How weights are chosen, and what holds for every mask of this cut."""

    promise: str
    """in words, for whoever verifies masks"""
    exact: bool
    """whether the number of weights kept follows from the settings alone; else only the
    same cut of the same weights can tell what it should be"""


CUTS: Registry[Cut] = Registry(
    "cut",
    __name__,
    {
        "ranked": Cut(module="ranked", promise="kept counts exact", exact=True),
        "southampton": Cut(
            module="southampton", promise="masks cut at the percentile", exact=False
        ),
    },
    offers="cut",
)


def cut(name: str, evidence: Evidence, asked: Asked) -> Mask:
    """The mask of a round.

    Args:
        name: one of CUTS.
        evidence: its mask is the one before the cut, of the tensors that count.
        asked: what to keep.

    Returns:
        A subset of the evidence's mask.

    Raises:
        UnknownNameError: if there is no such cut.
        ValueError: if the evidence lacks what the criterion looks at.
    """
    found: Mask = CUTS.load(name)(evidence, asked)
    assert masks.is_nested(found, evidence.mask), "a pruned weight came back"
    return found
