"""Measure the entropy of the Fourier spectrum of an embedding, low for few frequencies.

Source: Minegishi et al. 2023, "Grokking Tickets" (arXiv:2310.19470): the entropy of the
Fourier spectrum of W_embedding · W_in, which falls where a network comes to compute sums by
few frequencies. The source does not say how it is normalized. Here each column, a feature
over the tokens, has its power spectrum divided by its sum, and entropies are averaged over
columns; the frequencies are 0 … n // 2 of n tokens, in nats.

Tokens are those of the embedding in its order, so that signs behind the numbers of a table
are among them.
"""

import numpy as np
from numpy.typing import NDArray

from pipeline.core.measures import Seen
from pipeline.core.models.layers import parameters


def measure(seen: Seen) -> float:
    """Mean entropy, from 0 (one frequency) to log(n // 2 + 1) (all alike).

    The features are those of the embedding. If the next layer is linear and reads one or
    several embeddings, they are those of the embedding times its weights for each.
    """
    tensors = parameters(seen.network)
    names = [name for name, tensor in tensors.items() if tensor.kind is not None]
    first = next(n for n, name in enumerate(names) if tensors[name].kind == "embedding")
    features = seen.weights[names[first]].astype(np.float64)
    following = names[first + 1] if first + 1 < len(names) else None
    if following is not None and tensors[following].kind == "fc":
        reading, width = seen.weights[following].astype(np.float64), features.shape[1]
        if reading.shape[1] % width == 0:
            places = np.split(reading, reading.shape[1] // width, axis=1)
            features = np.concatenate([features @ one.T for one in places], axis=1)
    return spectral_entropy(features)


def spectral_entropy(features: NDArray[np.float64]) -> float:
    """Mean entropy of the power spectra of the columns; columns of zeros do not count.

    Args:
        features: (tokens, features); where all are 0, the entropy is 0.

    >>> turns = 2 * np.pi * np.arange(8) / 8
    >>> abs(round(spectral_entropy(np.cos(3 * turns)[:, None]), 9))
    0.0
    """
    power = np.abs(np.fft.rfft(features, axis=0)) ** 2
    totals = power.sum(axis=0)
    if not np.isfinite(totals).all():
        return float("nan")
    if not totals.any():
        return 0.0
    shares = power[:, totals > 0] / totals[totals > 0]
    logs = np.log(shares, out=np.zeros_like(shares), where=shares > 0)
    return float(-(shares * logs).sum(axis=0).mean())
