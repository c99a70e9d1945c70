"""Which networks an engine can train, read off the layer records alone.

The plan chooses engines by their records, without importing them (torch, Numba); engines
refuse by the same functions.
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
    """Whatever the layer records can say."""
    return bool(network)


def no_network(_: Network) -> bool:
    """None at all."""
    return False


def fully_connected(network: Network) -> bool:
    """Flatten, then Linear layers with a ReLU between them."""
    return re.fullmatch(r"FL(RL)*", _spelled(network)) is not None


def plain_convolutional(network: Network) -> bool:
    """Convolutions and pools as in Conv-2 to Conv-8, then Linear layers.

    Convolutions are 3 × 3 with stride 1 and a bias, each with a ReLU behind it and maybe
    a MaxPool; the last has one. Between Linear layers stands a ReLU.
    """
    plain = all(
        layer.kernel == 3 and layer.stride == 1 and layer.bias
        for layer in network
        if isinstance(layer, Conv)
    )
    return plain and re.fullmatch(r"(CRP?)*CRPFL(RL)*", _spelled(network)) is not None


def without_norm(network: Network) -> bool:
    """A plain sequence of layers, none of which normalizes batches."""
    return not set(_spelled(network)) & {"N", "S"}


def _spelled(network: Network) -> str:
    return "".join(_LETTERS[type(layer)] for layer in network)
