"""Starts that draw the network anew, either all of it or only the magnitudes.

With the same random stream all of them draw the same values, so two of these starts
differ only in signs or in scale.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.core.arrays import Weights
from pipeline.core.models.init import initial_weights
from pipeline.core.models.layers import parameters
from pipeline.core.starts.given import Given, kernels

Numbers = NDArray[np.floating[Any]]

VARIANCES: dict[str, Callable[[Numbers, Numbers], Numbers]] = {
    "glorot-normal": lambda fan_in, fan_out: 2 / (fan_in + fan_out),
    "kaiming-normal": lambda fan_in, _: 2 / fan_in,
    "southampton": lambda fan_in, fan_out: 2 / (fan_in + fan_out),
}
"""The variance of each of INITS, as a function of fan-in and fan-out."""


def reinit(given: Given) -> Weights:
    """A fresh draw of the whole network.

    Source: the control "random reinit" of Frankle & Carbin 2019, arXiv:1803.03635;
    "reinit" of Zhou et al. 2019. Their code permutes initial values instead, as
    ``reshuffle-all`` does.
    """
    return initial_weights(given.network, given.init, given.rng)


def reinit_scaled(given: Given) -> Weights:
    """A fresh draw with a variance that depends on kept connections only.

    The init's formula gives the variance of the weight from unit i to unit o, with the
    kept fan-in of o and the kept fan-out of i in place of the layer's: 2 / (fan-in +
    fan-out) for glorot-normal, 2 / fan-in for kaiming-normal. The gates of a recurrent cell
    are matrices of their own, as for the init. If no weight is pruned, this is ``reinit``.

    Source: Evci et al. 2022, arXiv:2010.03533. Deviation: their code draws from a normal
    or uniform distribution without truncation; here the init's own draw is scaled.
    """
    drawn = reinit(given)
    variance, tensors = VARIANCES[given.init], parameters(given.network)
    for kernel in kernels(given):
        parts = tensors[kernel.name].parts
        dense = np.ones_like(kernel.kept)
        growth = variance(*_fans(kernel.kept, parts)) / variance(*_fans(dense, parts))
        drawn[kernel.name] = (drawn[kernel.name] * np.sqrt(growth)).astype(np.float32)
    return drawn


def signed_reinit(given: Given) -> Weights:
    """Fresh magnitudes with the signs of θ₀.

    Source: Zhou et al. 2019, arXiv:1905.01067. Deviation: their code permutes the
    layer's initial magnitudes instead of drawing new ones.
    """
    drawn = reinit(given)
    signed = {k.name: np.copysign(drawn[k.name], k.initial) for k in kernels(given)}
    return given.theta0 | signed


def trained_sign_reinit(given: Given) -> Weights:
    """Fresh magnitudes with the signs that the trained weights have.

    Biases and norm parameters are those of θ₀.

    Source: Oh et al. 2025, arXiv:2504.05357, who find that without a training of their
    own making the norm parameters have to be passed on as well; Gadhikar et al. 2025,
    arXiv:2504.12801.
    """
    drawn = reinit(given)
    signed = {
        k.name: np.copysign(drawn[k.name], given.trained[k.name]) for k in kernels(given)
    }
    return given.theta0 | signed


def early_sign_reinit(given: Given) -> Weights:
    """Fresh magnitudes with the signs of the dense network after its first k steps.

    The round trains from its beginning. With a few k it says when a dense training has
    found the signs that a sparse one needs. Biases and norm parameters are those of θ₀.

    Source: Gadhikar et al. 2025, arXiv:2504.12801 (signs at epochs 10 and 30).
    """
    drawn = reinit(given)
    signed = {
        k.name: np.copysign(drawn[k.name], given.early[k.name]) for k in kernels(given)
    }
    return given.theta0 | signed


def trained_magnitudes(given: Given) -> Weights:
    """The magnitudes that the trained weights have, with fresh signs.

    It is the counterpart of ``trained_sign_reinit``. Biases and norm parameters are those
    of θ₀.

    Source: Gadhikar et al. 2025, arXiv:2504.12801 ("final magnitudes", signs random).
    """
    drawn = reinit(given)
    signed = {
        k.name: np.copysign(given.trained[k.name], drawn[k.name]) for k in kernels(given)
    }
    return given.theta0 | signed


def _fans(kept: NDArray[np.bool_], parts: int) -> tuple[Numbers, Numbers]:
    """Kept fan-in and fan-out of each weight of a mask (O, I) or (O, I, k, k).

    At least 1: a unit without a connection is pruned anyway.

    Args:
        kept: the mask.
        parts: matrices of equal size in it, rows below rows; each has fan-outs of its own.

    Returns:
        (O, 1, …) and (O or 1, I, 1, …).
    """
    beside_outputs = tuple(range(1, kept.ndim))
    fan_in = kept.sum(axis=beside_outputs, keepdims=True, dtype=np.float64)
    matrices = kept.reshape(parts, -1, *kept.shape[1:])
    beside_inputs = (1, *range(3, matrices.ndim))
    fan_out = matrices.sum(axis=beside_inputs, keepdims=True, dtype=np.float64)
    rows = fan_out.repeat(matrices.shape[1], axis=1) if parts > 1 else fan_out
    fan_out = rows.reshape(-1, *fan_out.shape[2:])
    return np.maximum(fan_in, 1), np.maximum(fan_out, 1)
