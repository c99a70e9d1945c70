"""What is asked of a cut: how many weights the mask keeps, and by which criterion."""

from collections.abc import Mapping
from dataclasses import dataclass

from pipeline.core.counts import Scope, kept_counts


@dataclass(frozen=True, kw_only=True, slots=True)
class Asked:
    """How many weights a mask is to keep, and the criterion that ranks them."""

    criterion: str
    """one of CRITERIA"""
    fractions: Mapping[str, float]
    """share of its remaining weights that a tensor loses per round, for each tensor that
    counts"""
    scope: Scope
    rounds: int
    """number of pruning rounds done in one cut: 1 from the previous round's mask, r from
    the dense mask"""

    def counts(self, sizes: Mapping[str, int]) -> dict[str, int]:
        """The number of weights to keep, per pool as for ``pruning.prune_to``.

        Args:
            sizes: weights kept before the cut, per tensor.
        """
        return kept_counts(sizes, self.fractions, self.scope, self.rounds)[-1]
