"""Constructions find, in a random network, a subnetwork that computes a trained one.

Each construction draws random weights and keeps a subset of them for every weight of the
trained network (the *target*), so that the sum over the subset is close to the weight.
No random weight is trained. A construction is one file; its ``build`` takes a ``Target``,
the number of candidates per weight, a random stream and what is called between pieces of
work, and returns a ``Built``.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from pipeline.core.constructions.target import Built, Target
from pipeline.core.models.layers import Flatten, Linear, Module, Network, ReLU
from pipeline.core.registry import Entry, Registry


@dataclass(frozen=True, kw_only=True, slots=True)
class Construction(Entry):
    """Where a construction is defined, and what it can approximate."""

    most: int
    """the greatest number of candidates per weight that it takes"""
    linear_only: bool = False
    """whether it takes networks of linear layers with ReLU between them only"""
    forecast: Callable[[int], float]
    """seconds per weight of the target, for a number of candidates; an edit of it makes no
    result stale"""


def _search(per_sum: float) -> Callable[[int], float]:
    """The time of a search: every sum of one half is looked for among those of the other.

    Args:
        per_sum: seconds.
    """
    return lambda candidates: 1e-6 + per_sum * 2.0 ** (candidates // 2)


# Seconds measured on an Intel Xeon (AVX-512) beside other work, 2026-11-28, by one call of
# best_subsets with 300 targets and 8 to 24 candidates.
CONSTRUCTIONS: Registry[Construction] = Registry(
    "construction",
    __name__,
    {
        "direct": Construction(module="direct", most=32, forecast=_search(7e-8)),
        "golden": Construction(module="golden", most=32, forecast=lambda _: 1e-6),
        "relu": Construction(
            module="relu", most=32, linear_only=True, forecast=_search(1.9e-7)
        ),
    },
    offers="build",
)


def refusal(name: str, candidates: int, network: Network) -> str:
    """Why a construction cannot approximate a network; empty if it can.

    Args:
        name: one of CONSTRUCTIONS.
        candidates: per weight.
        network: of the target.
    """
    record = CONSTRUCTIONS[name]
    if not 1 <= candidates <= record.most:
        return f"{candidates} candidates found; {name} takes 1 to {record.most}"
    if record.linear_only and not _is_linear(network):
        others = [one for one, known in CONSTRUCTIONS.items() if not known.linear_only]
        return (
            f"{name} takes networks of linear layers with ReLU between them only; take "
            f"{' or '.join(others)}"
        )
    return ""


def build(
    name: str,
    target: Target,
    candidates: int,
    rng: np.random.Generator,
    pause: Callable[[], None] = lambda: None,
) -> Built:
    """Approximate a trained network by a subnetwork of a random one.

    Args:
        name: one of CONSTRUCTIONS.
        target: the trained network.
        candidates: random numbers from which the subset for a weight is taken.
        rng: stream from which the random network is drawn.
        pause: called between pieces of work of less than a second; an exception that it
            raises ends the work.

    Raises:
        UnknownNameError: if there is no such construction.
        ValueError: if it cannot approximate this network; one line.
    """
    if why := refusal(name, candidates, target.network):
        raise ValueError(why)
    found: Built = CONSTRUCTIONS.load(name)(target, candidates, rng, pause)
    return found


def _is_linear(network: Network) -> bool:
    if isinstance(network, Module):
        return False
    first, *others = network
    layers = others if isinstance(first, Flatten) else [first, *others]
    return all(
        isinstance(layer, ReLU if number % 2 else Linear)
        for number, layer in enumerate(layers)
    )
