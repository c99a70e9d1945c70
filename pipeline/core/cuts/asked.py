"""The request to a cut: how many weights the mask keeps, and by which criterion."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from pipeline.core.counts import (
    DIVIDING,
    POOL,
    Scope,
    fractions_per_tensor,
    kept_counts,
)
from pipeline.core.cuts.budgets import Shape, erdos_renyi
from pipeline.core.models.layers import Kind, Network, parameters


@dataclass(frozen=True, kw_only=True, slots=True)
class Asked:
    """How many weights a mask is to keep, and the criterion that ranks them."""

    criterion: str
    """one of CRITERIA; empty where weights are ranked by none"""
    fractions: Mapping[str, float]
    """share of its remaining weights that a tensor loses per round, for each tensor that
    counts"""
    scope: Scope
    rounds: int
    """number of pruning rounds done in one cut: 1 from the previous round's mask, r from
    the dense mask"""
    shapes: Mapping[str, Shape] = field(default_factory=dict)
    """of the tensors that count, for scopes that look at them (``er``, ``erk``)"""

    @classmethod
    def of_recipe(
        cls,
        network: Network,
        criterion: str,
        fractions: Mapping[Kind, float | None],
        scope: Scope,
        rounds: int,
    ) -> "Asked":
        """What a recipe asks for.

        Args:
            network: whose weights are pruned.
            criterion: one of CRITERIA, or empty.
            fractions: per kind of layer, as ``counts.fractions_per_tensor`` takes them.
            scope: of the comparison.
            rounds: pruning rounds at once.
        """
        tensors = parameters(network)
        found = fractions_per_tensor(tensors, fractions)
        return cls(
            criterion=criterion,
            fractions=found,
            scope=scope,
            rounds=rounds,
            shapes={name: tensors[name].shape for name in found},
        )

    def counts(self, sizes: Mapping[str, int]) -> dict[str, int]:
        """The number of weights to keep, per pool as for ``pruning.prune_to``.

        Args:
            sizes: weights kept before the cut, per tensor.
        """
        counts = kept_counts(sizes, self.fractions, self.scope, self.rounds)[-1]
        if self.scope not in DIVIDING:
            return counts
        pooled = {name: self.shapes[name] for name in sizes if name not in counts}
        total, areas = counts.pop(POOL), self.scope == "erk"
        return counts | erdos_renyi(pooled, total, areas=areas)
