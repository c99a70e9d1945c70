"""Remove dead units and channels from a network, so that a smaller dense one is left.

A unit is dead if nothing reads it, or if it gives one constant whatever the input: all its
incoming weights are 0, or come from such units. The constant moves into the biases of the
next layer. A channel that is constant and not 0 stays where the next layer is a padded
convolution, because the padding is 0 and borders would differ, and where the next layer
has no bias. A constant channel before a layer of signs stays, too, if rounding might turn
its sign. Channels that enter or leave a residual block all stay, since each is the sum of
many; only channels inside the block are removed. Batch norm counts as in eval mode, with
its running statistics.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from pipeline.core.arrays import Floats, Weights
from pipeline.core.models.forward import NORM_EPSILON
from pipeline.core.models.layers import (
    BatchNorm,
    Conv,
    Layer,
    Layers,
    Linear,
    ReLU,
    Residual,
    Sign,
    parameters,
)

IN_DOUBT = 1e-3
"""a constant nearer to 0 may have another sign in float32, and so stays"""

Bools = NDArray[np.bool_]
Doubles = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True, slots=True)
class _Step:
    """A linear layer or convolution, and what enters it."""

    layer: Linear | Conv
    kernel: Doubles
    """(outputs, channels, area): the weights of one channel side by side"""
    bias: Doubles
    """(outputs,)"""
    constants: Doubles
    """(channels,): what enters, NaN where it depends on the input"""

    @property
    def is_used(self) -> Bools:
        """(outputs, channels): whether an output reads a channel."""
        found: Bools = (self.kernel != 0).any(axis=2)
        return found

    @property
    def folds(self) -> Bools:
        """(channels,): those whose constant the biases can take over exactly."""
        layer = self.layer
        whole = isinstance(layer, Linear) or (layer.bias and layer.kernel == 1)
        known: Bools = ~np.isnan(self.constants)
        found: Bools = known & (whole | (self.constants == 0))
        return found

    def added(self, channels: Bools) -> Doubles:
        """(outputs,): what the constants of these channels add to the biases."""
        found: Doubles = self.kernel.sum(axis=2)[:, channels] @ self.constants[channels]
        return found


def compacted(layers: Layers, weights: Weights) -> tuple[Layers, Weights]:
    """The network without dead units, and its weights.

    Args:
        layers: of the network.
        weights: by state-dict name; a weight of 0 is no connection.

    Returns:
        Layers of the same names, with fewer inputs and outputs, and their weights. In
        eval mode they compute the same function, up to rounding. At least one unit is
        left in every layer.
    """
    found: list[Layer] = []
    tensors: Weights = {}
    for part in _parts(layers):
        if isinstance(part, Residual):
            body, inside = compacted(part.body, weights)
            found.append(replace(part, body=body))
            tensors |= inside | {name: weights[name] for name in parameters(part.shortcut)}
        else:
            smaller, inside = _chain(part, weights)
            found += smaller
            tensors |= inside
    return tuple(found), tensors


def _parts(layers: Layers) -> Iterator[Residual | list[Layer]]:
    """Residual blocks, and the chains of layers between them."""
    chain: list[Layer] = []
    for layer in layers:
        if isinstance(layer, Residual):
            yield chain
            yield layer
            chain = []
        else:
            chain.append(layer)
    yield chain


def _chain(layers: Sequence[Layer], weights: Weights) -> tuple[list[Layer], Weights]:
    """A chain whose inputs and outputs stay, without the dead units between them."""
    steps = _steps(layers, weights)
    kept = _kept(steps)
    found: list[Layer] = []
    tensors: Weights = {}
    leaving: Bools | None = None
    for layer in layers:
        if isinstance(layer, Linear | Conv):
            entering, leaving = kept[layer.name]
            smaller, inside = _smaller(steps[layer.name], entering, leaving)
        else:
            smaller, inside = _thinner(layer, weights, leaving)
        found.append(smaller)
        tensors |= inside
    return found, tensors


def _thinner(layer: Layer, weights: Weights, stays: Bools | None) -> tuple[Layer, Weights]:
    """A layer between two steps, and the weights of the channels that stay; None = all."""
    tensors = {name: weights[name] for name in parameters((layer,))}
    if not isinstance(layer, BatchNorm) or stays is None:
        return layer, tensors
    smaller = replace(layer, channels=int(stays.sum()))
    return smaller, {name: tensor[stays] for name, tensor in tensors.items()}


def _steps(layers: Sequence[Layer], weights: Weights) -> dict[str, _Step]:
    """Follow constants through a chain."""
    steps: dict[str, _Step] = {}
    flowing: Doubles | None = None  # before the first step everything varies
    for layer in layers:
        if isinstance(layer, Linear | Conv):
            step = steps[layer.name] = _step(layer, weights, flowing)
            varies = step.is_used[:, ~step.folds].any(axis=1)
            flowing = np.where(varies, np.nan, step.bias + step.added(step.folds))
        elif isinstance(layer, BatchNorm) and flowing is not None:
            flowing = _normalized(layer, weights, flowing)
        elif isinstance(layer, ReLU) and flowing is not None:
            flowing = np.maximum(flowing, 0)
        elif isinstance(layer, Sign) and flowing is not None:
            flowing = np.where(np.abs(flowing) > IN_DOUBT, np.sign(flowing), np.nan)
    return steps


def _step(layer: Linear | Conv, weights: Weights, flowing: Doubles | None) -> _Step:
    kernel = weights[f"{layer.name}.weight"].astype(np.float64)
    # Behind a Flatten, the inputs of a linear layer are the positions of each channel.
    channels = layer.inputs if flowing is None else len(flowing)
    bias = weights.get(f"{layer.name}.bias", np.zeros(layer.outputs, np.float32))
    return _Step(
        layer=layer,
        kernel=kernel.reshape(layer.outputs, channels, -1),
        bias=bias.astype(np.float64),
        constants=np.full(channels, np.nan) if flowing is None else flowing,
    )


def _normalized(layer: BatchNorm, weights: Weights, values: Doubles) -> Doubles:
    scale, shift, mean, variance = (
        weights[f"{layer.name}.{part}"].astype(np.float64)
        for part in ("weight", "bias", "running_mean", "running_var")
    )
    found: Doubles = (values - mean) / np.sqrt(variance + NORM_EPSILON) * scale + shift
    return found


def _kept(steps: dict[str, _Step]) -> dict[str, tuple[Bools, Bools]]:
    """The channels that enter and leave each step; all enter the first, and leave last."""
    found: dict[str, tuple[Bools, Bools]] = {}
    first = next(iter(steps), None)
    leaving: Bools | None = None
    for name, step in reversed(steps.items()):
        if leaving is None:
            leaving = np.ones(len(step.bias), np.bool_)
        entering: Bools = step.is_used[leaving].any(axis=0) & ~step.folds
        if name == first:
            entering = np.ones(len(entering), np.bool_)
        elif not entering.any():
            entering[0] = True  # torch has no layers without inputs
        found[name] = (entering, leaving)
        leaving = entering
    return found


def _smaller(step: _Step, entering: Bools, leaving: Bools) -> tuple[Layer, Weights]:
    layer = step.layer
    bias = (step.bias + step.added(step.folds & ~entering))[leaving]
    kernel = step.kernel[leaving][:, entering]
    num_outputs, num_channels, area = kernel.shape
    inputs = num_channels * (area if isinstance(layer, Linear) else 1)
    shape = (num_outputs, inputs, *_window(layer))
    tensors: Weights = {f"{layer.name}.weight": _single(kernel.reshape(shape))}
    if isinstance(layer, Linear) or layer.bias:
        tensors[f"{layer.name}.bias"] = _single(bias)
    return replace(layer, inputs=inputs, outputs=num_outputs), tensors


def _window(layer: Linear | Conv) -> tuple[int, ...]:
    return (layer.kernel, layer.kernel) if isinstance(layer, Conv) else ()


def _single(values: Doubles) -> Floats:
    return values.astype(np.float32)
