"""Count the weights that each round keeps: exact integers, known before any training.

Counts are kept per *pool*: the weights that are ranked against each other. In layerwise
scope every tensor is a pool under its own name; in every other scope all tensors with a
fraction above 0 form the pool POOL, and the others stay as they are under their names.
"""

from collections.abc import Collection, Mapping
from fractions import Fraction
from typing import Literal

from pipeline.core.models.layers import Kind, Parameter

Scope = Literal["layerwise", "global", "er", "erk"]
"""Where scores are compared. ``er`` and ``erk`` divide the number that ``global`` keeps
among the tensors (``cuts/budgets``), and compare within each."""
DIVIDING: frozenset[Scope] = frozenset({"er", "erk"})
"""the scopes that divide a number which only a whole network's mask can meet"""
POOL = "global"
"""The key of the common pool of global scope; no tensor has this name."""


def kept_counts(
    sizes: Mapping[str, int], fractions: Mapping[str, float], scope: Scope, rounds: int
) -> list[dict[str, int]]:
    """How many weights every pool keeps after 0, 1, … ``rounds`` rounds of pruning.

    Each round removes round-half-even(fraction × kept) weights of a pool. A fraction
    counts as the decimal that the user wrote: 0.575 × 100 is 57.5, and 58 are removed,
    although the nearest binary number lies below.

    Args:
        sizes: weights kept now, per tensor.
        fractions: per tensor of ``sizes``, in [0, 1); in global scope all are one
            number or 0.
        scope: where scores are compared.
        rounds: ≥ 0.

    Returns:
        rounds + 1 dictionaries; the first has the present counts. The values of each sum
        to all weights kept.

    Raises:
        ValueError: if the arguments differ in tensors, if a fraction is out of range,
            or if the fractions of a global pool differ.

    >>> fractions = {"fc1.weight": 0.2, "fc2.weight": 0.1}
    >>> sizes = {"fc1.weight": 30, "fc2.weight": 5}
    >>> kept_counts(sizes, fractions, "layerwise", rounds=2)[2]
    {'fc1.weight': 19, 'fc2.weight': 5}
    """
    check_same_names("fractions", fractions, sizes)
    removed = _pool_fractions(fractions, scope)
    history = [pool_counts(sizes, fractions, scope)]
    for _ in range(rounds):
        now = history[-1]
        history.append({pool: now[pool] - round(removed[pool] * now[pool]) for pool in now})
    return history


def pool_counts(
    kept: Mapping[str, int], fractions: Mapping[str, float], scope: Scope
) -> dict[str, int]:
    """Counts per pool, summed up from counts per tensor.

    A mask of round r is right if
    ``pool_counts(masks.kept(mask), fractions, scope) == kept_counts(…)[r]``.

    >>> pool_counts({"a": 3, "b": 4, "c": 5}, {"a": 0.2, "b": 0.0, "c": 0.2}, "global")
    {'global': 8, 'b': 4}
    """
    counts: dict[str, int] = {}
    for name, count in kept.items():
        pool = _pool_of(name, fractions, scope)
        counts[pool] = counts.get(pool, 0) + count
    return counts


def in_pools(kept: Mapping[str, int], pools: Collection[str]) -> dict[str, int]:
    """Counts per pool, where the names of the pools are known: the rest is in POOL.

    >>> in_pools({"a": 3, "b": 4, "c": 5}, ["b", "global"])
    {'b': 4, 'global': 8}
    """
    counts = dict.fromkeys(pools, 0)
    for name, count in kept.items():
        counts[name if name in pools else POOL] += count
    return counts


def densities(sizes: Mapping[str, int], counts: Mapping[str, int]) -> dict[str, float]:
    """The density of each tensor that is counted alone, and of the pool for all others.

    Args:
        sizes: number of weights, per tensor.
        counts: weights kept, per pool.

    >>> densities({"a": 4, "b": 5, "c": 5}, {"a": 1, "global": 5})
    {'a': 0.25, 'b': 0.5, 'c': 0.5}
    """
    whole = in_pools(sizes, counts)
    return {
        name: counts[pool] / whole[pool]
        for name in sizes
        for pool in (name if name in counts else POOL,)
    }


def fractions_per_tensor(
    parameters: Mapping[str, Parameter], fractions: Mapping[Kind, float | None]
) -> dict[str, float]:
    """Pruning fractions by tensor name, made from fractions by kind of layer.

    Args:
        parameters: of the network, from ``layers.parameters``.
        fractions: one for every kind that the network has. A kind with 0.0 counts in the
            density but is never pruned; one with None is not pruned and does not count.
            Sources differ in this: Frankle & Carbin count the shortcuts and the output
            of their ResNet without pruning them, others prune everything.

    Returns:
        One entry per tensor that counts, in layer order: the tensors of the masks.

    Raises:
        ValueError: if a kind is missing, or if no tensor counts.
    """
    kinds = {name: tensor.kind for name, tensor in parameters.items() if tensor.kind}
    present = sorted(set(kinds.values()))
    missing = [kind for kind in present if kind not in fractions]
    if missing:
        raise ValueError(
            f"no pruning fraction for {missing}; the network has {present}: "
            "give each kind a number, or null to leave it out"
        )
    found = {name: fractions[kind] for name, kind in kinds.items()}
    counted = {name: value for name, value in found.items() if value is not None}
    if not counted:
        raise ValueError(
            f"no prunable weights: all of {present} are left out; "
            "give at least one kind a pruning fraction"
        )
    return counted


def check_same_names(
    what: str, given: Mapping[str, object], wanted: Mapping[str, object]
) -> None:
    """Raise ValueError unless both have the same keys; ``what`` names the given one."""
    if set(given) != set(wanted):
        raise ValueError(
            f"{what} are given for {sorted(given)}, the masked tensors are "
            f"{sorted(wanted)}; give one entry per masked tensor"
        )


def _pool_of(name: str, fractions: Mapping[str, float], scope: Scope) -> str:
    return POOL if scope != "layerwise" and fractions[name] > 0 else name


def _pool_fractions(fractions: Mapping[str, float], scope: Scope) -> dict[str, Fraction]:
    found: dict[str, Fraction] = {}
    for name, value in fractions.items():
        if not 0 <= value < 1:
            raise ValueError(
                f"the pruning fraction of {name!r} is {value}; it must be in [0, 1)"
            )
        pool = _pool_of(name, fractions, scope)
        # Through str: the decimal as written, not its nearest binary number.
        fraction = Fraction(str(float(value)))
        if found.setdefault(pool, fraction) != fraction:
            raise ValueError(
                f"global scope ranks all weights in one pool, but {name!r} has "
                f"pruning fraction {value} and others have {float(found[pool])}; "
                "give all the same (or 0), or prune layerwise"
            )
    return found
