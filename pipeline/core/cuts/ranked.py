"""The algorithm's cut: score every weight and keep exactly the number asked for."""

from pipeline.core import criteria, masks, pruning
from pipeline.core.arrays import Mask
from pipeline.core.criteria.evidence import Evidence
from pipeline.core.cuts.asked import Asked


def cut(evidence: Evidence, asked: Asked) -> Mask:
    """Among the weights still kept, keep those with the highest scores.

    Source: Frankle & Carbin 2019, arXiv:1803.03635, strategy 1 (iterative pruning with
    resetting). ``pruning.prune_to`` defines counts and ties: chance decides between
    equal scores where the criterion has many of them, else their position.

    Raises:
        ValueError: if the evidence lacks what the criterion needs.
    """
    tied = criteria.CRITERIA[asked.criterion].tied
    if tied and evidence.rng is None:
        raise ValueError(
            f"{asked.criterion!r} scores many weights alike; give a random stream, which "
            "decides between them"
        )
    scores = criteria.score(asked.criterion, evidence)
    counts = asked.counts(masks.kept(evidence.mask))
    return pruning.prune_to(scores, evidence.mask, counts, evidence.rng if tied else None)
