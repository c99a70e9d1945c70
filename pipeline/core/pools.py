"""Mix the trained networks of several rounds into one: Lottery Pools.

Rounds of a ticket that is rewound are linearly connected, so that a mean of two of them may
be better than either. The pool begins with one network; the others join it one after the
other, nearest round first, each at the share with which the pool is best on the validation
set, if it is not worse than before. After each step the pool is pruned to the density with
which it began. No weight is trained.

Source: Yin et al. 2023, arXiv:2208.10842. Their code departs from it: the bar that a first
candidate has to pass is the ticket's accuracy on the test set, and no equal one passes.
Here it is the accuracy on the validation set, and an equal one joins, as the paper says.
They rank all weights together; here a pool is pruned in the scope of its variant.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from pipeline.core import masks, pruning
from pipeline.core.analysis.interpolation import interpolate
from pipeline.core.arrays import Mask, Weights, is_finite
from pipeline.core.counts import POOL

SHARES = (0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95)
"""the shares that the source tries"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Pooling:
    """How the trained networks of several rounds are mixed into one."""

    begins_with: Literal["round", "dense"] = "round"
    """round: the network of the round, which all other rounds may join; dense: the dense
    network, which the rounds up to this one may join, and nothing is pruned"""
    shares: tuple[float, ...] = SHARES
    """shares that the pool may keep when another network joins it, each between 0 and 1;
    [0.5] = means only"""
    recalibration_batches: int | None = None
    """training batches that make the running statistics of norms anew after each step; null
    = statistics are mixed like weights"""

    @property
    def of_dense(self) -> bool:
        """Whether the dense network is the target, so that nothing is pruned."""
        return self.begins_with == "dense"


@dataclass(frozen=True, kw_only=True, slots=True)
class Joined:
    """A network that joined the pool."""

    round: int
    share: float
    """that the pool kept"""
    accuracy: float
    """of the pool on the validation set, after it joined"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Pool:
    """Several networks mixed into one."""

    weights: Weights
    """pruned ones are 0"""
    mask: Mask
    joined: tuple[Joined, ...]
    """in this order"""

    @property
    def facts(self) -> list[dict[str, Any]]:
        """The networks that joined it, as files have them."""
        return [
            {"round": one.round, "share": one.share, "validation_accuracy": one.accuracy}
            for one in self.joined
        ]


def nearest_first(round: int, others: Iterable[int]) -> list[int]:
    """Rounds by their distance to one; of two at the same distance the earlier first.

    >>> nearest_first(2, [0, 1, 3, 4])
    [1, 3, 0, 4]
    """
    return sorted(set(others) - {round}, key=lambda other: (abs(other - round), other))


def counts_of(mask: Mask, together: Collection[str]) -> dict[str, int]:
    """How many weights a pool keeps, per pool of scores as for ``pruning.prune_to``.

    Args:
        mask: of the network that the pool begins with.
        together: the tensors that were ranked all together; the others were not pruned, or
            layer by layer.
    """
    kept = masks.kept(mask)
    alone = {name: num for name, num in kept.items() if name not in together}
    ranked = sum(kept[name] for name in together)
    return {POOL: ranked, **alone} if together else alone


def mixed(
    pool: Weights, other: Weights, share: float, mask: Mask, counts: Mapping[str, int]
) -> tuple[Weights, Mask]:
    """One step of a pool: share · pool + (1 - share) · other, its largest weights alone.

    Args:
        pool: with the tensors of ``other``.
        other: the network that joins.
        share: in (0, 1).
        mask: of the pool; its tensors are pruned.
        counts: weights to keep, from ``counts_of``.
    """
    between = interpolate(pool, other, 1 - share)
    sizes = {name: np.abs(between[name]) for name in mask}
    every = {name: np.ones_like(kept) for name, kept in mask.items()}
    found = pruning.prune_to(sizes, every, counts)
    return masks.apply(between, found), found


def pooled(
    begun: tuple[Weights, Mask],
    others: Sequence[tuple[int, Weights]],
    shares: Sequence[float],
    counts: Mapping[str, int],
    *,
    accuracy: Callable[[Weights], float],
    recalibrate: Callable[[Weights], Weights] = lambda weights: weights,
) -> Pool:
    """Let networks join a pool, as long as it does not become worse.

    A network that is not finite joins no pool, and nothing joins it.

    Args:
        begun: the network that the pool begins with, and its mask.
        others: rounds and their networks, in the order in which they are tried.
        shares: that are tried for each; of equally good ones the first is taken.
        counts: weights to keep, from ``counts_of``.
        accuracy: on the validation set; called for each candidate.
        recalibrate: makes the running statistics of norms anew.
    """
    weights, mask = begun
    joined: list[Joined] = []
    best = accuracy(weights)
    for round, other in others:
        if not (is_finite(other, weights) and is_finite(weights, other)):
            continue
        candidates = (mixed(weights, other, share, mask, counts) for share in shares)
        tried = [(recalibrate(found), kept) for found, kept in candidates]
        found = [accuracy(one) for one, _ in tried]
        first = int(np.argmax(found))
        if found[first] >= best:
            (weights, mask), best = tried[first], found[first]
            joined.append(Joined(round=round, share=shares[first], accuracy=best))
    return Pool(weights=weights, mask=mask, joined=tuple(joined))
