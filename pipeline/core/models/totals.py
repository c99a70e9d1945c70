"""Count the weights of a network, and its multiply-adds for one example."""

from collections.abc import Iterable, Mapping
from math import prod
from typing import Any

from pipeline.core.description import Description, Images
from pipeline.core.models.layers import (
    Conv,
    Kind,
    Layers,
    Linear,
    MaxPool,
    Module,
    Network,
    Residual,
    parameters,
)


def kernel_counts(network: Network) -> dict[Kind, int]:
    """The number of weights in the kernels of each kind; biases and norms do not count.

    >>> from pipeline.core.description import of_images
    >>> from pipeline.core.models import build
    >>> lenet = build("lenet-300-100", widths=None, data=of_images((1, 28, 28), classes=10))
    >>> kernel_counts(lenet)
    {'fc': 265200, 'output': 1000}
    """
    counts: dict[Kind, int] = {}
    for parameter in parameters(network).values():
        if parameter.kind is not None:
            so_far = counts.get(parameter.kind, 0)
            counts[parameter.kind] = so_far + prod(parameter.shape)
    return counts


def sizes(network: Network, counted: Iterable[str]) -> dict[str, Any]:
    """The entry of a network in a result file: its sizes, by tensor and in total."""
    found = {name: prod(tensor.shape) for name, tensor in parameters(network).items()}
    names = list(counted)
    return {
        "sizes": {name: found[name] for name in names},
        "num_prunable": sum(found[name] for name in names),
        "num_parameters": trainable_count(network),
    }


def trainable_count(network: Network) -> int:
    """The number of values that an optimizer updates: kernels, biases, norm parameters.

    >>> from pipeline.core.description import of_images
    >>> from pipeline.core.models import build
    >>> lenet = build("lenet-300-100", widths=None, data=of_images((1, 28, 28), classes=10))
    >>> trainable_count(lenet)
    266610
    """
    tensors = parameters(network).values()
    return sum(prod(tensor.shape) for tensor in tensors if tensor.trainable)


def positions(network: Network, data: Description) -> dict[str, int]:
    """The number of positions of one example at which each kernel is applied.

    Args:
        network: the layers of the network.
        data: what the examples are.

    Returns:
        By name of the kernel: height × width of a convolution's output, 1 for the others.

    >>> from pipeline.core.description import of_images
    >>> network = (Conv(name="conv1", inputs=1, outputs=2, stride=2),)
    >>> positions(network, of_images((1, 5, 5), classes=2))
    {'conv1.weight': 9}
    """
    if isinstance(network, Module):
        return dict(network.applied)
    height, width = data.inputs.shape[1:] if isinstance(data.inputs, Images) else (1, 1)
    return _walk(network, height, width)[0]


def multiply_adds(network: Network, data: Description, kept: Mapping[str, int]) -> int:
    """The number of multiply-adds in all kernels, for one forward pass of one example.

    A kept weight costs one per position, and a pruned weight nothing, whatever an engine
    really computes. Padding counts; biases, norms and pools do not.

    Args:
        network: the layers of the network.
        data: what the examples are.
        kept: number of weights kept by each kernel; a kernel without an entry keeps all.

    >>> from pipeline.core.description import of_images
    >>> network = (Linear(name="fc", inputs=4, outputs=3),)
    >>> data = of_images((1, 2, 2), classes=3)
    >>> multiply_adds(network, data, {}), multiply_adds(network, data, {"fc.weight": 5})
    (12, 5)
    """
    tensors = parameters(network)
    return sum(
        kept.get(name, prod(tensors[name].shape)) * num
        for name, num in positions(network, data).items()
    )


def _walk(network: Layers, height: int, width: int) -> tuple[dict[str, int], int, int]:
    found: dict[str, int] = {}
    for layer in network:
        match layer:
            case Linear():
                found[f"{layer.name}.weight"] = 1
            case Conv():
                height, width = -(-height // layer.stride), -(-width // layer.stride)
                found[f"{layer.name}.weight"] = height * width
            case MaxPool():
                height, width = height // 2, width // 2
            case Residual():
                shortcut, _, _ = _walk(layer.shortcut, height, width)
                body, height, width = _walk(layer.body, height, width)
                found |= body | shortcut
            case _:
                pass
    return found, height, width
