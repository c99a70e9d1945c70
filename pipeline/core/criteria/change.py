"""Scores from how far training moved a weight.

Source: Zhou et al. 2019, arXiv:1905.01067.
"""

import numpy as np

from pipeline.core.arrays import Scores
from pipeline.core.criteria.evidence import Evidence


def magnitude_increase(evidence: Evidence) -> Scores:
    """|θ_trained| - |θ_begun|; negative where a weight shrank."""
    begun, trained = evidence.begun, evidence.trained
    return {
        name: np.where(kept, np.abs(trained[name]) - np.abs(begun[name]), np.float32(0))
        for name, kept in evidence.mask.items()
    }


def movement(evidence: Evidence) -> Scores:
    """|θ_trained - θ_begun|.

    Not the "movement pruning" of Sanh et al. 2020, which adds up gradients.
    """
    begun, trained = evidence.begun, evidence.trained
    return {
        name: np.where(kept, np.abs(trained[name] - begun[name]), np.float32(0))
        for name, kept in evidence.mask.items()
    }
