"""Starts that draw the network anew, wholly or but for its signs.

With the same stream all of them draw the same values: what differs between two of these
starts is only the sign, or the scale.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.core.arrays import Weights
from pipeline.core.models.init import initial_weights
from pipeline.core.starts.given import Given, kernels

Numbers = NDArray[np.floating[Any]]

VARIANCES: dict[str, Callable[[Numbers, Numbers], Numbers]] = {
    "glorot-normal": lambda fan_in, fan_out: 2 / (fan_in + fan_out),
    "kaiming-normal": lambda fan_in, _: 2 / fan_in,
    "southampton": lambda fan_in, fan_out: 2 / (fan_in + fan_out),
}
"""The variance that each of INITS draws with, of fan-in and fan-out."""


def reinit(given: Given) -> Weights:
    """A fresh draw of the whole network.

    Source: the control "random reinit" of Frankle & Carbin 2019, arXiv:1803.03635;
    "reinit" of Zhou et al. 2019, whose code permutes initial values instead: that is
    ``reshuffle-all``.
    """
    return initial_weights(given.network, given.init, given.rng)


def reinit_scaled(given: Given) -> Weights:
    """A fresh draw whose variance counts kept connections only.

    The weight from unit i to unit o has the variance of the init's formula with o's
    kept fan-in and i's kept fan-out in place of the layer's: 2 / (fan-in + fan-out)
    for glorot-normal, 2 / fan-in for kaiming-normal. Without a pruned weight this is
    ``reinit``.

    Source: Evci et al. 2022, arXiv:2010.03533; their code draws from a normal or a
    uniform distribution that is not truncated, here the init's own is scaled.
    """
    drawn = reinit(given)
    variance = VARIANCES[given.init]
    for kernel in kernels(given):
        dense = np.ones_like(kernel.kept)
        growth = variance(*_fans(kernel.kept)) / variance(*_fans(dense))
        drawn[kernel.name] = (drawn[kernel.name] * np.sqrt(growth)).astype(np.float32)
    return drawn


def signed_reinit(given: Given) -> Weights:
    """Fresh magnitudes under the signs of θ₀.

    Source: Zhou et al. 2019, arXiv:1905.01067; deviation: their code permutes the
    layer's initial magnitudes instead of drawing some.
    """
    drawn = reinit(given)
    signed = {k.name: np.copysign(drawn[k.name], k.initial) for k in kernels(given)}
    return given.theta0 | signed


def trained_sign_reinit(given: Given) -> Weights:
    """Fresh magnitudes under the signs that training ended with.

    Biases and norm parameters are θ₀'s.

    Source: Oh et al. 2025, arXiv:2504.05357, who find that without a training of their
    own making the norm parameters have to be passed on as well; Gadhikar et al. 2025,
    arXiv:2504.12801.
    """
    drawn = reinit(given)
    signed = {
        k.name: np.copysign(drawn[k.name], given.trained[k.name]) for k in kernels(given)
    }
    return given.theta0 | signed


def _fans(kept: NDArray[np.bool_]) -> tuple[Numbers, Numbers]:
    """Kept fan-in (O, 1, …) and fan-out (1, I, …) for a mask (O, I) or (O, I, k, k).

    At least 1: a unit without a connection is pruned anyway.
    """
    beside_outputs = tuple(range(1, kept.ndim))
    beside_inputs = (0, *range(2, kept.ndim))
    fan_in = kept.sum(axis=beside_outputs, keepdims=True, dtype=np.float64)
    fan_out = kept.sum(axis=beside_inputs, keepdims=True, dtype=np.float64)
    return np.maximum(fan_in, 1), np.maximum(fan_out, 1)
