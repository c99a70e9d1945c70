"""Pruning removes the weights with the lowest scores, in exact numbers.

Chance decides between equal scores where a random stream is given, else their position.
No pruned weight ever comes back.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.core import masks
from pipeline.core.arrays import Mask, Scores
from pipeline.core.counts import POOL, Scope, check_same_names, kept_counts


def prune(scores: Scores, mask: Mask, fractions: Mapping[str, float], scope: Scope) -> Mask:
    """Prune one round: remove the lowest scores among the weights still kept.

    Source: Frankle & Carbin 2019, arXiv:1803.03635, strategy 1. Their code and open_lth
    remove one weight more than asked (``<=`` a threshold); here counts are exact.

    Args:
        scores: larger = keep; NaN ranks lowest; scores of pruned weights are ignored.
        mask: left unchanged.
        fractions: share of its remaining weights that each tensor of the mask loses, in
            [0, 1).
        scope: ``layerwise`` removes round-half-even(fraction × kept) weights from every
            tensor. ``global`` removes that number from the pool of all tensors with a
            fraction above 0, which must all have the same fraction.

    Returns:
        A subset of ``mask``. Of equal scores, the weights at earlier positions survive:
        in C order within a tensor, in the order of sorted names within a pool.

    Raises:
        ValueError: if the arguments differ in tensors or shapes, if a fraction is out
            of range, or if the fractions of a global pool differ.
    """
    counts = kept_counts(masks.kept(mask), fractions, scope, rounds=1)
    return prune_to(scores, mask, counts[1])


def prune_to(
    scores: Scores,
    mask: Mask,
    counts: Mapping[str, int],
    rng: np.random.Generator | None = None,
) -> Mask:
    """Keep the highest scores, in the numbers of ``counts``; otherwise as ``prune``.

    To prune one-shot to the density of round r, give the dense mask and the counts of
    ``counts.kept_counts(…)[r]``.

    Args:
        scores: as for ``prune``.
        mask: left unchanged.
        counts: number of weights to keep, per pool; tensors without an entry form POOL.
        rng: decides which of equal scores survive. It draws one number per kept weight,
            whatever the counts, so that masks cut from the same scores with equal streams
            are nested. None = the weights at earlier positions survive.

    Raises:
        ValueError: if the arguments differ in tensors or shapes, or if a count is
            larger than what the mask keeps.
    """
    _check_fits(scores, mask)
    found: Mask = {}
    for names, num_kept in _pools(mask, counts):
        found |= _keep_top(scores, mask, names, num_kept, rng)
    return {name: found[name] for name in mask}


def _pools(mask: Mask, counts: Mapping[str, int]) -> Iterator[tuple[Sequence[str], int]]:
    together = sorted(set(mask) - set(counts))
    pools = (set(mask) & set(counts)) | ({POOL} if together else set())
    if set(counts) != pools:
        raise ValueError(
            f"counts are given for {sorted(counts)}, the mask has {sorted(mask)}; "
            f"give one count per tensor, or {POOL!r} for all that are not named"
        )
    for pool, num_kept in counts.items():
        yield (together if pool == POOL else [pool]), num_kept


def _keep_top(
    scores: Scores,
    mask: Mask,
    names: Sequence[str],
    num_kept: int,
    rng: np.random.Generator | None,
) -> Mask:
    alive = np.concatenate([mask[name].ravel() for name in names])
    ranked = np.concatenate([scores[name].ravel() for name in names])[alive]
    if num_kept > len(ranked):
        raise ValueError(
            f"cannot keep {num_kept} weights of {list(names)}: the mask keeps only "
            f"{len(ranked)}. Pruning never revives a weight; lower the count"
        )
    survivors = np.zeros_like(alive)
    # The draw is of fixed size: which weights are tied must not move the stream.
    lots = None if rng is None else rng.random(len(ranked))
    survivors[alive] = top(ranked, num_kept, lots)
    ends = np.cumsum([mask[name].size for name in names])
    return {
        name: part.reshape(mask[name].shape)
        for name, part in zip(names, np.split(survivors, ends[:-1]), strict=True)
    }


def top(
    scores: NDArray[np.floating[Any]],
    num_kept: int,
    lots: NDArray[np.float64] | None = None,
) -> NDArray[np.bool_]:
    """True for the ``num_kept`` highest of (N,) scores.

    A partition finds the threshold in linear time. Of the weights tied with it, those
    with the lowest of (N,) lots are taken; without lots, the earlier ones. (argpartition
    alone would take any of them.)
    """
    found = np.zeros(scores.shape, np.bool_)
    if num_kept == 0:
        return found
    unknown = np.isnan(scores)
    numbers = scores[~unknown]
    place = len(numbers) - num_kept
    if place >= 0:
        threshold = np.partition(numbers, place)[place]
        found[scores > threshold] = True
        tied = scores == threshold
    else:
        found[~unknown] = True
        tied = unknown
    candidates = np.flatnonzero(tied)
    if lots is not None:
        candidates = candidates[np.argsort(lots[candidates], kind="stable")]
    found[candidates[: num_kept - np.count_nonzero(found)]] = True
    return found


def _check_fits(scores: Scores, mask: Mask) -> None:
    check_same_names("scores", scores, mask)
    for name, entries in mask.items():
        if scores[name].shape != entries.shape:
            raise ValueError(
                f"{name!r} is {scores[name].shape} in the scores and {entries.shape} "
                "in the mask; score the weights that the mask is for"
            )
