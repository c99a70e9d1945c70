"""Decide from the layers of a network which engines can train it.

The plan uses these functions to choose an engine without importing it (torch, Numba);
engines use the same functions to refuse a network.
"""

import re

from pipeline.core.models.layers import (
    BatchNorm,
    Conv,
    Flatten,
    GlobalAveragePool,
    Layer,
    Linear,
    MaxPool,
    Network,
    ReLU,
    Residual,
)

_LETTERS: dict[type[Layer], str] = {
    BatchNorm: "N",
    Conv: "C",
    Flatten: "F",
    GlobalAveragePool: "G",
    Linear: "L",
    MaxPool: "P",
    ReLU: "R",
    Residual: "S",
}


def any_network(network: Network) -> bool:
    """True for every network."""
    return bool(network)


def no_network(_: Network) -> bool:
    """True for no network."""
    return False


def fully_connected(network: Network) -> bool:
    """True for Flatten, then Linear layers with a ReLU between them."""
    return re.fullmatch(r"FL(RL)*", _spelled(network)) is not None


def plain_convolutional(network: Network) -> bool:
    """True for convolutions and pools as in Conv-2 to Conv-8, then Linear layers.

    Convolutions must be 3 × 3 with stride 1 and a bias, each followed by a ReLU and
    optionally by a MaxPool; the last one needs a MaxPool. A ReLU stands between Linear
    layers.
    """
    plain = all(
        layer.kernel == 3 and layer.stride == 1 and layer.bias
        for layer in network
        if isinstance(layer, Conv)
    )
    return plain and re.fullmatch(r"(CRP?)*CRPFL(RL)*", _spelled(network)) is not None


def without_norm(network: Network) -> bool:
    """True for a plain sequence of layers, none of which normalizes batches."""
    return not set(_spelled(network)) & {"N", "S"}


def _spelled(network: Network) -> str:
    return "".join(_LETTERS[type(layer)] for layer in network)
