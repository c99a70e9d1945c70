"""Scores from the size of the trained weights."""

import numpy as np

from pipeline.core.arrays import Scores
from pipeline.core.criteria.evidence import Evidence


def magnitude(evidence: Evidence) -> Scores:
    """|θ_trained|.

    Source: Frankle & Carbin 2019, arXiv:1803.03635; Zhou et al. 2019 call it
    large_final.
    """
    return {
        name: np.where(entries, np.abs(evidence.trained[name]), np.float32(0))
        for name, entries in evidence.mask.items()
    }
