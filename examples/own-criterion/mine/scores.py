"""Scores from how far a weight moved for its size."""

import numpy as np

from pipeline.core.arrays import Scores
from pipeline.core.criteria import Criterion
from pipeline.core.criteria.evidence import Evidence
from pipeline.core.functions import declares


@declares(Criterion())
def relative_change(evidence: Evidence, floor: float = 1e-8) -> Scores:
    """|θ_trained - θ_begun| / (|θ_begun| + floor); `lt-pipeline check` tries it."""
    scores = {}
    for name, kept in evidence.mask.items():
        first, last = evidence.begun[name], evidence.trained[name]
        change = np.abs(last - first) / (np.abs(first) + np.float32(floor))
        scores[name] = np.where(kept, change, np.float32(0))
    return scores
