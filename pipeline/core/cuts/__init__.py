"""Cuts make the mask with which a round begins, from evidence about a network.

The algorithm's cut, ``ranked``, scores weights with a criterion and keeps exactly the
number asked for, those with the highest scores. A published program that prunes in
another way has a cut of its own.
"""

from dataclasses import dataclass

from pipeline.core import masks
from pipeline.core.arrays import Mask
from pipeline.core.counts import Scope
from pipeline.core.criteria.evidence import Evidence
from pipeline.core.cuts.asked import Asked
from pipeline.core.registry import Entry, Registry


@dataclass(frozen=True, kw_only=True, slots=True)
class Cut(Entry):
    """Where a cut is defined, and what holds for every mask that it makes."""

    promise: str
    """what its masks fulfill, in words, for the report of ``verify``"""
    scopes: tuple[Scope, ...] | None = None
    """the scopes that it works in; None = all"""
    whole: bool = False
    """whether it can cut only masks that keep everything"""
    exact: bool
    """whether the number of weights kept follows from the settings alone; else ``verify``
    must repeat the cut on the same weights to know the number"""


CUTS: Registry[Cut] = Registry(
    "cut",
    __name__,
    {
        "ranked": Cut(module="ranked", promise="kept counts exact", exact=True),
        "paths": Cut(
            module="paths",
            promise="masks are the paths that were walked",
            scopes=("global",),
            whole=True,
            exact=False,
        ),
        "southampton": Cut(
            module="southampton", promise="masks cut at the percentile", exact=False
        ),
    },
    offers="cut",
)


def cut(name: str, evidence: Evidence, asked: Asked) -> Mask:
    """Cut the mask of a round from the evidence of an earlier one.

    Args:
        name: one of CUTS.
        evidence: holds the mask before the cut, with the tensors that count.
        asked: how much to keep, and by which criterion.

    Returns:
        The new mask, which keeps a subset of what the evidence's mask keeps.

    Raises:
        UnknownNameError: if there is no such cut.
        ValueError: if the evidence lacks what the criterion looks at.
    """
    found: Mask = CUTS.load(name)(evidence, asked)
    assert masks.is_nested(found, evidence.mask), "a pruned weight came back"
    return found
