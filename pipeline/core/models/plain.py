"""Layer records as a module of plain torch layers, and as values that fit into JSON.

The module computes what ``forward`` computes in eval mode, under the same state-dict
names, so that other tools can read, trace and deploy a network.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import fields
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812 -- torch's own name for it
from torch import Tensor, nn

from pipeline.core.arrays import Weights
from pipeline.core.models.layers import (
    BatchNorm,
    Conv,
    Flatten,
    GlobalAveragePool,
    Layer,
    Layers,
    Linear,
    MaxPool,
    ReLU,
    Residual,
    Sign,
)


class _Sign(nn.Module):
    """The signs of a layer's units, for inference only: no gradient passes them."""

    def forward(self, hidden: Tensor) -> Tensor:
        return hidden.sign()


class _Norm(nn.BatchNorm2d):
    """Batch norm of channels and of single units alike."""

    def _check_input_dim(self, input: Tensor) -> None:
        if input.dim() not in (2, 4):
            raise ValueError(f"images or vectors are normed, not {tuple(input.shape)}")


_WITHOUT_WEIGHTS: dict[type[Layer], nn.Module] = {
    ReLU: nn.ReLU(),
    Sign: _Sign(),
    MaxPool: nn.MaxPool2d(2),
    Flatten: nn.Flatten(),
}
_RECORDS: dict[str, type[Layer]] = {
    record.__name__: record
    for record in (
        Linear,
        Conv,
        BatchNorm,
        ReLU,
        Sign,
        MaxPool,
        GlobalAveragePool,
        Flatten,
        Residual,
    )
}


class Plain(nn.Module):
    """A network of layer records, made of ``nn.Linear``, ``nn.Conv2d`` and batch norms.

    It takes prepared inputs (B, …) and returns logits (B, num_classes).
    """

    def __init__(self, layers: Layers) -> None:
        """Make the layers, with torch's own initial values.

        Args:
            layers: of the network; a name such as ``block1.conv1`` becomes a submodule.
        """
        super().__init__()
        self.layers = layers
        for layer in _with_weights(layers):
            self._place(layer.name, _made(layer))

    def forward(self, inputs: Tensor) -> Tensor:
        """Apply the layers in order."""
        return self._run(self.layers, inputs)

    def _run(self, layers: Layers, hidden: Tensor) -> Tensor:
        for layer in layers:
            match layer:
                case Linear(name=name) | Conv(name=name) | BatchNorm(name=name):
                    hidden = self.get_submodule(name)(hidden)
                case Residual():
                    body = self._run(layer.body, hidden)
                    hidden = F.relu(body + self._run(layer.shortcut, hidden))
                case GlobalAveragePool():
                    hidden = hidden.mean(dim=(2, 3))
                case _:
                    hidden = _WITHOUT_WEIGHTS[type(layer)](hidden)
        return hidden

    def _place(self, name: str, made: nn.Module) -> None:
        place: nn.Module = self
        *above, last = name.split(".")
        for part in above:
            if not hasattr(place, part):
                place.add_module(part, nn.Module())
            place = place.get_submodule(part)
        place.add_module(last, made)


def plain(layers: Layers, weights: Weights) -> Plain:
    """The network with these weights, in eval mode."""
    module = Plain(layers)
    module.load_state_dict({name: torch.tensor(weight) for name, weight in weights.items()})
    return module.eval()


def as_values(layers: Layers) -> list[dict[str, Any]]:
    """The records as JSON values.

    >>> as_values((Linear(name="fc1", inputs=4, outputs=2), ReLU()))[1]
    {'layer': 'ReLU'}
    """
    return [
        {"layer": type(layer).__name__}
        | {one.name: _value(getattr(layer, one.name)) for one in fields(layer)}
        for layer in layers
    ]


def from_values(values: Sequence[Mapping[str, Any]]) -> Layers:
    """The records that ``as_values`` has written.

    Raises:
        LookupError, TypeError: if it has not written them.
    """
    return tuple(_record(value) for value in values)


def _record(value: Mapping[str, Any]) -> Layer:
    inner = {
        name: from_values(one) if isinstance(one, list) else one
        for name, one in value.items()
        if name != "layer"
    }
    record: Callable[..., Layer] = _RECORDS[value["layer"]]
    return record(**inner)


def _value(value: object) -> object:
    return as_values(value) if isinstance(value, tuple) else value


def _with_weights(layers: Layers) -> Iterator[Linear | Conv | BatchNorm]:
    for layer in layers:
        if isinstance(layer, Residual):
            yield from _with_weights(layer.body)
            yield from _with_weights(layer.shortcut)
        elif isinstance(layer, Linear | Conv | BatchNorm):
            yield layer


def _made(layer: Linear | Conv | BatchNorm) -> nn.Module:
    match layer:
        case Linear():
            return nn.Linear(layer.inputs, layer.outputs)
        case Conv():
            return nn.Conv2d(
                layer.inputs,
                layer.outputs,
                layer.kernel,
                stride=layer.stride,
                padding=layer.kernel // 2,
                bias=layer.bias,
            )
        case BatchNorm():
            return _Norm(layer.channels)  # its count of batches begins at 0
