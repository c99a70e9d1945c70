"""What each round keeps, known before any training: settings -> counts of weights."""

from math import prod

from pipeline.config.settings import Prune, Task, build_network
from pipeline.core.counts import fractions_per_tensor, kept_counts
from pipeline.core.models.layers import parameters
from pipeline.core.training.gradual import Gradual


def fractions(task: Task, prune: Prune) -> dict[str, float]:
    """Pruning fractions by tensor that counts, of a recipe with its own masks."""
    assert prune.fraction is not None
    return fractions_per_tensor(parameters(build_network(task)), prune.fraction)


def counts(task: Task, prune: Prune, rounds: int) -> list[dict[str, int]]:
    """Weights kept in rounds 0 … rounds, per pool, whatever the schedule."""
    assert prune.scope is not None
    found = fractions(task, prune)
    tensors = parameters(build_network(task))
    sizes = {name: prod(tensors[name].shape) for name in found}
    return kept_counts(sizes, found, prune.scope, rounds)


def densities(task: Task, prune: Prune, rounds: int) -> list[float]:
    """The density of each round 0 … rounds."""
    totals = [sum(kept.values()) for kept in counts(task, prune, rounds)]
    return [total / totals[0] for total in totals]


def gradual(task: Task, prune: Prune, round: int) -> Gradual:
    """What a round is pruned to while it trains: what an iterative one begins with."""
    return Gradual(
        counted=tuple(fractions(task, prune)), target=counts(task, prune, round)[round]
    )
