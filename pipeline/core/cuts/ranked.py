"""The algorithm's cut: score every weight, keep the highest, exactly as many as asked."""

from pipeline.core import criteria, masks, pruning
from pipeline.core.arrays import Mask
from pipeline.core.criteria.evidence import Evidence
from pipeline.core.cuts.asked import Asked


def cut(evidence: Evidence, asked: Asked) -> Mask:
    """Score by the criterion and keep the best of what the mask before keeps.

    Source: Frankle & Carbin 2019, arXiv:1803.03635, strategy 1 (iterative pruning with
    resetting); counts and ties as ``pruning.prune_to`` says.
    """
    scores = criteria.score(asked.criterion, evidence)
    counts = asked.counts(masks.kept(evidence.mask))
    return pruning.prune_to(scores, evidence.mask, counts)
