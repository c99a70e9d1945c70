"""Compute from settings how many weights each round keeps, before any training."""

from math import prod

from pipeline.config.settings import Prune, Task, build_network
from pipeline.core.counts import fractions_per_tensor, kept_counts
from pipeline.core.cuts.asked import Asked
from pipeline.core.models.layers import parameters


def fractions(task: Task, prune: Prune) -> dict[str, float]:
    """The pruning fraction of every tensor that counts; the recipe has masks of its own."""
    assert prune.fraction is not None
    return fractions_per_tensor(parameters(build_network(task)), prune.fraction)


def asked(task: Task, prune: Prune, rounds: int) -> Asked:
    """The request of a recipe with masks of its own after so many pruning rounds."""
    assert prune.fraction is not None
    assert prune.scope is not None
    network = build_network(task)
    return Asked.of_recipe(
        network, prune.criterion or "", prune.fraction, prune.scope, rounds
    )


def kept(task: Task, prune: Prune, round: int) -> dict[str, int]:
    """Weights kept in a round, per pool as a cut divides them, whatever the schedule."""
    return asked(task, prune, round).counts(_sizes(task, prune))


def counts(task: Task, prune: Prune, rounds: int) -> list[dict[str, int]]:
    """Weights kept in rounds 0 … rounds, per pool, whatever the schedule."""
    assert prune.scope is not None
    return kept_counts(_sizes(task, prune), fractions(task, prune), prune.scope, rounds)


def densities(task: Task, prune: Prune, rounds: int) -> list[float]:
    """The density of each round 0 … rounds; 1, the most, where training decides it."""
    if not prune.policy.asks_for_counts:
        return [1.0] * (rounds + 1)
    totals = [sum(kept.values()) for kept in counts(task, prune, rounds)]
    return [total / totals[0] for total in totals]


def _sizes(task: Task, prune: Prune) -> dict[str, int]:
    """Weights of every tensor that counts."""
    tensors = parameters(build_network(task))
    return {name: prod(tensors[name].shape) for name in fractions(task, prune)}
