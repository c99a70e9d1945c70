"""Starts that are θ₀ times a number."""

import numpy as np

from pipeline.core.arrays import Weights
from pipeline.core.starts.given import Given, kernels


def norm_matched(given: Given) -> Weights:
    """θ₀, its kernels scaled to the L2 norm with which the mask's variant began its round.

    One factor for all kernels together: with the transform ``everything`` this is a dense
    network with the norm of a ticket. It asks whether the norm explains a ticket's success
    and not its structure.

    Source: Minegishi et al. 2023, arXiv:2310.19470 ("controlled dense", L2). Their program
    takes the ratio of two sums of norms, one per tensor; here the norms are of all kernels.
    """
    names = [kernel.name for kernel in kernels(given)]
    wanted, found = (
        sum(float(np.square(weights[name], dtype=np.float64).sum()) for name in names)
        for weights in (given.taken, given.theta0)
    )
    factor = np.float32(np.sqrt(wanted / found)) if found else np.float32(1)
    return given.theta0 | {name: given.theta0[name] * factor for name in names}
