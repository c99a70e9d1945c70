"""Random scores: the baseline that every other criterion must beat."""

import numpy as np

from pipeline.core.arrays import Scores
from pipeline.core.criteria.evidence import Evidence


def random(evidence: Evidence) -> Scores:
    """Score each weight, kept or not, with a uniform draw from [0, 1).

    Source: Zhou et al. 2019, arXiv:1905.01067 ("random"). Unlike a shuffled mask, a mask
    made with these scores is nested: each round cuts it from its own previous round.
    Tensors are drawn in the order of their sorted names, so that the order of the
    dictionary does not matter.
    """
    mask, rng = evidence.mask, evidence.rng
    assert rng is not None, "checked by criteria.score"
    drawn = {name: rng.random(mask[name].shape) for name in sorted(mask)}
    return {name: np.where(kept, drawn[name], 0) for name, kept in mask.items()}
