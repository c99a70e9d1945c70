"""Measure the Euclidean norm of all weights that a training changes, biases included.

In delayed generalization it falls where weight decay gets the better of memorizing
(Power et al. 2022, arXiv:2201.02177; Liu et al. 2022, arXiv:2210.01117).
"""

import numpy as np

from pipeline.core.measures import Seen
from pipeline.core.models.layers import parameters


def measure(seen: Seen) -> float:
    """The norm, in float64."""
    tensors = parameters(seen.network)
    trained = [w for name, w in seen.weights.items() if tensors[name].trainable]
    return float(np.sqrt(sum(np.sum(w.astype(np.float64) ** 2) for w in trained)))
