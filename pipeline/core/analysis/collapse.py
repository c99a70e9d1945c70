"""Find units and layers that a mask has cut off from the output."""

import numpy as np
from numpy.typing import NDArray

from pipeline.core import masks
from pipeline.core.arrays import Mask
from pipeline.core.models.layers import (
    Conv,
    Layer,
    Layers,
    Linear,
    Module,
    Network,
    Residual,
)

Used = NDArray[np.bool_]
"""For each unit of a layer (channel; behind Flatten: pixel), whether anything reads it."""


def dead_units(network: Network, mask: Mask) -> dict[str, int]:
    """Count the dead units of each layer: those without an outgoing kept weight.

    Nothing that such a unit computes reaches the logits. A unit without *incoming*
    weights is a trainable constant and not dead. A weight into a unit that is itself
    dead counts as outgoing. In a residual network a channel is read by everything that
    reads the sum to which it is added, also further on through identity shortcuts.

    Args:
        network: the layers of the network.
        mask: a kernel without an entry keeps everything.

    Returns:
        One count per kernel, in layer order; 0 for the output layer, since its units are
        the logits. None for torch modules, whose connections are not known.
    """
    if isinstance(network, Module):
        return {}
    outputs = next(la.outputs for la in reversed(network) if isinstance(la, Linear | Conv))
    found: dict[str, int] = {}
    _read_by(network, np.ones(outputs, np.bool_), mask, found)
    return dict(reversed(found.items()))


def collapse_warnings(mask: Mask) -> list[str]:
    """One line for every collapsed layer, which keeps no weight at all.

    >>> collapse_warnings({"fc2.weight": np.zeros((10, 100), np.bool_)})
    ['fc2.weight keeps none of its 1,000 weights: nothing passes; prune it less']
    """
    return [
        f"{name} keeps none of its {mask[name].size:,} weights: nothing passes; "
        "prune it less"
        for name in masks.collapsed(mask)
    ]


def _read_by(network: Layers, used: Used, mask: Mask, found: dict[str, int]) -> Used:
    """Tell which inputs are read; note the dead outputs of each kernel in ``found``."""
    for layer in reversed(network):
        used = _before(layer, used, mask, found)
    return used


def _before(layer: Layer, used: Used, mask: Mask, found: dict[str, int]) -> Used:
    match layer:
        case Linear() | Conv():
            name = f"{layer.name}.weight"
            found[name] = int(np.count_nonzero(~_per_channel(used, layer.outputs)))
            if name not in mask:
                return np.ones(layer.inputs, np.bool_)
            kept = mask[name].reshape(layer.outputs, layer.inputs, -1)
            return np.asarray(kept.any(axis=(0, 2)))
        case Residual():
            shortcut = _read_by(layer.shortcut, used, mask, found)
            body = _read_by(layer.body, used, mask, found)
            return body | _per_channel(shortcut, len(body))
        case _:
            return used


def _per_channel(used: Used, num_channels: int) -> Used:
    """Tell which channels are read: those of which any pixel behind Flatten is read."""
    return np.asarray(used.reshape(num_channels, -1).any(axis=1))
