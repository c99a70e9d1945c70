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
    Layers,
    Linear,
    MaxPool,
    Module,
    Network,
    ReLU,
    Residual,
    layers_of,
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
"""the letter of each kind of layer that some pattern below names"""
_UNKNOWN = "?"
"""the letter of every other kind of layer, and of a torch module: no pattern has it"""


def any_network(network: Network) -> bool:
    """True for every network."""
    return isinstance(network, Module) or bool(network)


def no_network(_: Network) -> bool:
    """True for no network."""
    return False


def stackable(network: Network) -> bool:
    """True for layers, and for modules that draw nothing and that vmap can compute."""
    return network.stacks() if isinstance(network, Module) else bool(network)


def fully_connected(network: Network) -> bool:
    """True for Flatten, then Linear layers with a ReLU between them."""
    return re.fullmatch(r"FL(RL)*", _spelled(network)) is not None


def plain_convolutional(network: Network) -> bool:
    """True for convolutions and pools as in Conv-2 to Conv-8, then Linear layers.

    Convolutions must be 3 × 3 with stride 1 and a bias, each followed by a ReLU and
    optionally by a MaxPool; the last one needs a MaxPool. A ReLU stands between Linear
    layers.
    """
    if re.fullmatch(r"(CRP?)*CRPFL(RL)*", _spelled(network)) is None:
        return False
    return all(
        layer.kernel == 3 and layer.stride == 1 and layer.bias
        for layer in layers_of(network)
        if isinstance(layer, Conv)
    )


def normed_convolutional(network: Network) -> bool:
    """True for convolutions with batch norm as in ResNet-20 and VGG-16, then one Linear.

    Convolutions have no bias, a kernel of 1 or 3 and stride 1 or 2, and a norm each. A ReLU
    stands behind a norm, but behind the last of a residual block the sum has one. Body and
    shortcut of a block begin with the same stride: what splits planes for stride 2 writes
    their gradients, and adds to none. A MaxPool may follow a ReLU; an average pool comes
    before the Linear layer.
    """
    if re.fullmatch(r"CNR(CNR|P|S)*GL", _spelled(network)) is None:
        return False
    blocks = [layer for layer in layers_of(network) if isinstance(layer, Residual)]
    parts = [network, *(p for block in blocks for p in (block.body, block.shortcut))]
    return (
        all(re.fullmatch(r"(CNR)*CN", _spelled(block.body)) for block in blocks)
        and all(re.fullmatch(r"(CN)?", _spelled(block.shortcut)) for block in blocks)
        and all(_stride(block.body) == _stride(block.shortcut) for block in blocks)
        and all(
            layer.kernel in {1, 3} and layer.stride in {1, 2} and not layer.bias
            for part in parts
            for layer in layers_of(part)
            if isinstance(layer, Conv)
        )
    )


def without_norm(network: Network) -> bool:
    """True for a sequence of Linear, Conv, ReLU, MaxPool, average pool and Flatten."""
    return re.fullmatch(r"[CFGLPR]+", _spelled(network)) is not None


def names_of_layers(network: Network) -> list[str]:
    """The kinds of a network's layers, for messages."""
    if isinstance(network, Module):
        return [network.origin]
    return [type(layer).__name__ for layer in network]


def _stride(layers: Layers) -> int:
    """The stride with which a branch begins; 1 for the identity."""
    first = next(iter(layers), None)
    return first.stride if isinstance(first, Conv) else 1


def _spelled(network: Network) -> str:
    if isinstance(network, Module):
        return _UNKNOWN
    return "".join(_LETTERS.get(type(layer), _UNKNOWN) for layer in network)
