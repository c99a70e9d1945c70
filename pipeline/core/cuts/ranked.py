"""The algorithm's cut: score every weight and keep exactly the number asked for."""

from collections.abc import Mapping
from dataclasses import replace

from pipeline.core import counts, criteria, masks, pruning
from pipeline.core.arrays import Mask
from pipeline.core.criteria.evidence import Evidence
from pipeline.core.cuts.asked import Asked

Counts = dict[str, int]
"""weights to keep, per pool as for ``pruning.prune_to``"""


def cut(evidence: Evidence, asked: Asked) -> Mask:
    """Among the weights still kept, keep those with the highest scores.

    Source: Frankle & Carbin 2019, arXiv:1803.03635, strategy 1 (iterative pruning with
    resetting). ``pruning.prune_to`` defines counts and ties: chance decides between
    equal scores where the criterion has many of them, else their position. A criterion of
    several passes (Tanaka et al. 2020, arXiv:2006.05467, algorithm 1) scores anew after
    each.

    Raises:
        ValueError: if the evidence lacks what the criterion needs.
    """
    criterion = criteria.CRITERIA[asked.criterion]
    if criterion.tied and evidence.rng is None:
        raise ValueError(
            f"{asked.criterion!r} scores many weights alike; give a random stream, which "
            "decides between them"
        )
    rng = evidence.rng if criterion.tied else None
    target = asked.counts(masks.kept(evidence.mask))
    begin = counts.in_pools(masks.kept(evidence.mask), target)
    mask = evidence.mask
    for number in range(1, criterion.passes + 1):
        scores = criteria.score(asked.criterion, replace(evidence, mask=mask))
        wanted = _after(number / criterion.passes, begin, target)
        mask = pruning.prune_to(scores, mask, wanted, rng)
    return mask


def _after(part: float, begin: Mapping[str, int], target: Mapping[str, int]) -> Counts:
    """The numbers kept after a part (0, 1] of the passes; the last are the target."""
    if part == 1:
        return dict(target)
    return {
        pool: round(begin[pool] * (kept / begin[pool]) ** part) if begin[pool] else 0
        for pool, kept in target.items()
    }
