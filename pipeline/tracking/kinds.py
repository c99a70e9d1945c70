"""The kinds of runs in a store, with the child runs and the tags of each."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType


@dataclass(frozen=True, kw_only=True, slots=True)
class TrackedKind:
    """One kind of run, as the tag ``kind`` names it."""

    child: str
    """the kind of its child runs, and the tag that tells them apart"""
    tags: tuple[str, ...]
    """what a run has to say to be read"""
    child_tags: tuple[str, ...]
    """what a child run has to say"""


KINDS: Mapping[str, TrackedKind] = MappingProxyType(
    {
        "chain": TrackedKind(
            child="round", tags=("key", "task", "variant", "seed"), child_tags=("round",)
        ),
        "analysis": TrackedKind(
            child="place",
            tags=("key", "task", "analysis", "asks", "of", "seed"),
            child_tags=("seed", "round", "step", "pairs", "statistics", "points"),
        ),
        "approximation": TrackedKind(
            child="target",
            tags=("key", "task", "approximation", "of", "seed"),
            child_tags=("seed", "round"),
        ),
    }
)
NUMBERS = ("seed", "round", "step", "pairs", "points")
"""tags that are whole numbers"""
CHILDREN: Mapping[str, str] = MappingProxyType({n: kind.child for n, kind in KINDS.items()})
"""kind of a run -> kind of its child runs, and the tag that tells them apart"""
