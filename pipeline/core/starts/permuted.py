"""Starts that permute the initial values within each kernel.

Source: Zhou et al. 2019, arXiv:1905.01067. Their code permutes biases, too, but biases
are 0 at the start there. A chain that cuts its own masks permutes, round after round, the
values with which its previous round began, as their code does: large values survive the
cuts, so that the mean square of the kept ones grows from round to round. A variant that
takes another's masks, and every one-shot round, permutes the values of θ₀.
Permutations are drawn kernel by kernel, in layer order.
"""

import numpy as np

from pipeline.core.arrays import Weights
from pipeline.core.starts.given import Given, kernels


def reshuffle(given: Given) -> Weights:
    """The kept initial values of each kernel, permuted among the kept positions."""
    permuted = {}
    for kernel in kernels(given):
        values = given.begun[kernel.name].copy()
        values[kernel.kept] = given.rng.permutation(values[kernel.kept])
        permuted[kernel.name] = values
    return given.theta0 | permuted


def signed_reshuffle(given: Given) -> Weights:
    """As ``reshuffle``, but only magnitudes move: every position keeps its sign of θ₀."""
    moved = reshuffle(given)
    signed = {k.name: np.copysign(moved[k.name], k.initial) for k in kernels(given)}
    return given.theta0 | signed


def reshuffle_all(given: Given) -> Weights:
    """All initial values of each kernel, of kept and pruned weights, permuted.

    The source's code calls this random_reinit: it draws again from the initial values.
    """
    permuted = {
        k.name: given.rng.permutation(k.initial.ravel()).reshape(k.initial.shape)
        for k in kernels(given)
    }
    return given.theta0 | permuted
