"""Starts that give all weights of a kernel the same size.

The size is the standard deviation of all the kernel's initial values, kept and pruned,
around their mean, as in the source's code. Deviation: it is that of θ₀ in every round.
In the source's chains it is taken from the values with which the previous round began.

Source: Zhou et al. 2019, arXiv:1905.01067. Their code changes biases in the same way, but
biases are 0 at the start there.
"""

import numpy as np

from pipeline.core.arrays import Floats, Weights
from pipeline.core.starts.given import Given, kernels


def signed_constant(given: Given) -> Weights:
    """The common size with the sign that each weight has in θ₀."""
    constant = {k.name: np.copysign(_size(k.initial), k.initial) for k in kernels(given)}
    return given.theta0 | constant


def constant(given: Given) -> Weights:
    """The common size with random signs: those of the kernel in θ₀, permuted.

    As in the source's code (rand_signed_constant), the permutation covers all positions,
    kept and pruned.
    """
    signed = signed_constant(given)
    permuted = {
        k.name: given.rng.permutation(signed[k.name].ravel()).reshape(k.initial.shape)
        for k in kernels(given)
    }
    return given.theta0 | permuted


def _size(initial: Floats) -> np.float32:
    return np.float32(initial.std(dtype=np.float64))
