"""Initial weights for tests that need some and do not ask how they are drawn."""

import numpy as np

from pipeline.core.arrays import Weights
from pipeline.core.models.layers import Network, parameters


def theta0(network: Network, size: float, *, seed: int) -> Weights:
    """Normal weights of this standard deviation; scales and variances are 1."""
    rng = np.random.default_rng(seed)
    return {
        name: np.ones(tensor.shape, np.float32)
        if tensor.role in ("scale", "variance")
        else (size * rng.standard_normal(tensor.shape)).astype(np.float32)
        for name, tensor in parameters(network).items()
    }
