"""Scores from what training did to a weight.

Source: Zhou et al. 2019, arXiv:1905.01067.
"""

import numpy as np

from pipeline.core.arrays import Mask, Scores, Weights


def magnitude_increase(
    *, theta0: Weights, trained: Weights, mask: Mask, **_: object
) -> Scores:
    """|θ_trained| - |θ₀|; negative where a weight shrank."""
    return {
        name: np.where(kept, np.abs(trained[name]) - np.abs(theta0[name]), np.float32(0))
        for name, kept in mask.items()
    }


def movement(*, theta0: Weights, trained: Weights, mask: Mask, **_: object) -> Scores:
    """|θ_trained - θ₀|.

    Not the "movement pruning" of Sanh et al. 2020, which adds up gradients.
    """
    return {
        name: np.where(kept, np.abs(trained[name] - theta0[name]), np.float32(0))
        for name, kept in mask.items()
    }
