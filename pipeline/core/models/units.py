"""Hidden units of a network, and the axes of its tensors on which each of them lies.

The units of a layer can stand in any order: a network whose units are permuted, along every
axis that has them, computes the same function. Units of a convolution are its channels.
Layers that a residual connection adds have their units in common. Inputs and classes keep
their order.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from pipeline.core.arrays import Integers
from pipeline.core.models.layers import (
    BatchNorm,
    Conv,
    Layers,
    Linear,
    Network,
    Residual,
    layers_of,
    parameters,
)

ArrayT = TypeVar("ArrayT", bound=NDArray[Any])


@dataclass(frozen=True, kw_only=True, slots=True)
class Axis:
    """An axis of a tensor that has one entry, or a few side by side, for each unit."""

    tensor: str
    axis: int
    entries: int = 1
    """entries per unit: a flattened channel has one for each position of the image"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Units:
    """Hidden units that are permuted together."""

    name: str
    """of the first layer whose outputs they are"""
    number: int
    axes: tuple[Axis, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Places:
    """All hidden units of a network, and which of them each layer gives."""

    units: tuple[Units, ...]
    """in the order of the layers"""
    given: tuple[int | None, ...]
    """for each layer, those of residual connections before the connection itself: which of
    the units its outputs are; None for the inputs' and the classes"""


def places(network: Network) -> Places:
    """Find the hidden units of a network.

    Raises:
        ValueError: if it is a torch module, whose layers are not known.

    >>> from pipeline.core import models
    >>> from pipeline.core.description import of_images
    >>> data = of_images((1, 28, 28), classes=10)
    >>> lenet = models.build("lenet-300-100", widths=None, data=data)
    >>> [(units.name, units.number) for units in places(lenet).units]
    [('fc1', 300), ('fc2', 100)]
    """
    walk = _Walk()
    inputs = walk.new("inputs", 0)
    outputs = walk.through(layers_of(network), inputs)
    fixed = {walk.root(inputs), walk.root(outputs)}
    roots = sorted({walk.root(n) for n in range(len(walk.names))} - fixed)
    found = []
    for root in roots:
        members = [n for n in range(len(walk.names)) if walk.root(n) == root]
        axes = tuple(axis for n in members for axis in walk.axes[n])
        found.append(Units(name=walk.names[root], number=walk.numbers[root], axes=axes))
    number = {root: at for at, root in enumerate(roots)}
    return Places(
        units=tuple(found), given=tuple(number.get(walk.root(n)) for n in walk.outputs)
    )


def permuted(
    network: Network, arrays: Mapping[str, ArrayT], orders: Sequence[Integers]
) -> dict[str, ArrayT]:
    """Put the hidden units of a network, or of its mask, into other orders.

    Args:
        network: whose units they are.
        arrays: weights or masks by tensor; tensors that are missing are passed over.
        orders: for each of its ``places(network).units`` which of the units stands at each
            place, int64 (number,).

    Returns:
        Copies; a network of them computes what it computed before.
    """
    moved = {name: array.copy() for name, array in arrays.items()}
    for one, order in zip(places(network).units, orders, strict=True):
        for axis in one.axes:
            if axis.tensor in moved:
                entries = order[:, None] * axis.entries + np.arange(axis.entries)
                taken = np.take(moved[axis.tensor], entries.ravel(), axis=axis.axis)
                moved[axis.tensor] = taken  # type: ignore[assignment]  # of the same type
    return moved


@dataclass(slots=True)
class _Walk:
    """A walk through the layers that numbers the units that it comes by."""

    names: list[str] = field(default_factory=list)
    numbers: list[int] = field(default_factory=list)
    axes: list[list[Axis]] = field(default_factory=list)
    joined: list[int] = field(default_factory=list)
    """for each, units with which it is permuted: the first of them, or some nearer to it"""
    outputs: list[int] = field(default_factory=list)
    """of every layer so far"""

    def new(self, name: str, number: int) -> int:
        """Units that have not been there yet."""
        self.names.append(name)
        self.numbers.append(number)
        self.axes.append([])
        self.joined.append(len(self.joined))
        return self.joined[-1]

    def root(self, at: int) -> int:
        """The first units with which these are permuted."""
        return at if self.joined[at] == at else self.root(self.joined[at])

    def through(self, layers: Layers, at: int) -> int:
        """Which units come out of the layers where these go in."""
        for layer in layers:
            match layer:
                case Linear() | Conv():
                    at = self._kernel(layer, at)
                case BatchNorm():
                    self._add(at, parameters((layer,)), axis=0)
                case Residual():
                    body = self.root(self.through(layer.body, at))
                    shortcut = self.root(self.through(layer.shortcut, at))
                    at = min(body, shortcut)
                    self.joined[max(body, shortcut)] = at
                case _:
                    pass
            self.outputs.append(at)
        return at

    def _kernel(self, layer: Linear | Conv, inputs: int) -> int:
        entries = layer.inputs // max(self.numbers[inputs], 1)
        kernel = f"{layer.name}.weight"
        self.axes[inputs].append(Axis(tensor=kernel, axis=1, entries=entries))
        outputs = self.new(layer.name, layer.outputs)
        self._add(outputs, parameters((layer,)), axis=0)
        return outputs

    def _add(self, at: int, tensors: Mapping[str, object], axis: int) -> None:
        self.axes[at] += [Axis(tensor=name, axis=axis) for name in tensors]
