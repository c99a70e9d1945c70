"""Scores that know nothing of the weights: the baseline of every criterion."""

import numpy as np

from pipeline.core.arrays import Scores
from pipeline.core.criteria.evidence import Evidence


def random(evidence: Evidence) -> Scores:
    """Uniform in [0, 1), one draw per weight, kept or not.

    Source: Zhou et al. 2019, arXiv:1905.01067 ("random"). Unlike a shuffled mask it is
    cut from its own previous round, and so is nested in it. Drawn in the order of
    sorted names, so that the order of the dictionary does not matter.
    """
    mask, rng = evidence.mask, evidence.rng
    assert rng is not None, "checked by criteria.score"
    drawn = {name: rng.random(mask[name].shape) for name in sorted(mask)}
    return {name: np.where(kept, drawn[name], 0) for name, kept in mask.items()}
