"""What a mask is to keep."""

from collections.abc import Mapping
from dataclasses import dataclass

from pipeline.core.counts import Scope, kept_counts


@dataclass(frozen=True, kw_only=True, slots=True)
class Asked:
    """What a mask is to keep."""

    criterion: str
    """one of CRITERIA"""
    fractions: Mapping[str, float]
    """per tensor that counts: removed per round, of the weights that it still has"""
    scope: Scope
    rounds: int
    """pruning rounds at once: 1 from the previous round's mask, r from the dense one"""

    def counts(self, sizes: Mapping[str, int]) -> dict[str, int]:
        """Weights to keep, per pool as for ``pruning.prune_to``.

        Args:
            sizes: weights before, per tensor.
        """
        return kept_counts(sizes, self.fractions, self.scope, self.rounds)[-1]
