"""Policies: how a round comes by its mask. One record each, one file where it has code.

A record answers the questions that every other file would otherwise ask a policy's name
for: what a round reads, what it begins with, whether its mask changes while it trains,
and what of its masks can be relied on. ``iterative`` and ``one-shot`` differ only in what
they read, so they have no code of their own: a cut (``core/cuts``) turns what they read
into a mask.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from pipeline.core.cuts.asked import Asked
from pipeline.core.registry import Entry, Registry

if TYPE_CHECKING:
    from pipeline.core.training.mask_rules import MaskRule

RECIPE = ("schedule", "criterion", "scope", "fraction")
"""keys of ``prune`` with which a recipe says what its own masks keep"""
TAKEN = "taken"
"""the policy of a variant that names another one's mask"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Policy(Entry):
    """How a round comes by its mask."""

    module: str = ""
    """where the rule by which its mask changes is defined; empty = it has none"""
    reads: Literal["previous", "dense", "mask"] | None
    """what a round's mask is made of: the networks that the previous round trained, the
    dense ones, another variant's mask; None = of nothing that was trained"""
    nested: bool
    """whether every round keeps only what the round before it kept"""
    needs: tuple[str, ...] = RECIPE
    """keys of ``prune`` that a recipe must give; the others of RECIPE stay null"""
    criteria: tuple[str, ...] | None = None
    """the criteria it works with; None = all"""

    @property
    def changes(self) -> bool:
        """Whether the mask changes while its round trains.

        Such a round begins with a mask that keeps everything, holds at 0 what it prunes,
        and hands its mask on beside its weights: no training ever began with that mask.
        """
        return bool(self.module)

    @property
    def cuts(self) -> bool:
        """Whether a mask is cut from trained networks before its round trains."""
        return self.reads in ("previous", "dense")

    def source_round(self, round: int) -> int:
        """The round whose trained networks the mask of ``round`` is cut from; 0 = dense.

        >>> POLICIES["iterative"].source_round(3), POLICIES["one-shot"].source_round(3)
        (2, 0)
        """
        return 0 if self.reads == "dense" else round - 1


POLICIES: Registry[Policy] = Registry(
    "schedule",
    __name__,
    {
        "iterative": Policy(reads="previous", nested=True),
        "one-shot": Policy(reads="dense", nested=True),
        "gradual": Policy(
            module="gradual", reads=None, nested=False, criteria=("magnitude",)
        ),
        TAKEN: Policy(reads="mask", nested=True, needs=()),
    },
    offers="rule",
)
SCHEDULES = tuple(name for name, policy in POLICIES.items() if policy.needs)
"""the policies that a recipe with masks of its own can name"""


def of_recipe(schedule: str | None) -> Policy:
    """The policy of a recipe: that of its schedule, or ``taken`` where it has none.

    Raises:
        UnknownNameError: if there is no such policy.
    """
    return POLICIES[TAKEN if schedule is None else schedule]


def rule(name: str, asked: Asked, sizes: Mapping[str, int]) -> "MaskRule":
    """How a round's mask changes while it trains.

    Args:
        name: of a policy whose mask changes.
        asked: what the round is to keep in the end.
        sizes: weights of the dense network, per tensor that counts.
    """
    assert POLICIES[name].changes, f"{name} changes no mask"
    found: MaskRule = POLICIES.load(name)(asked, sizes)
    return found
