"""Count the weights of a network, and its multiply-adds for one example."""

from collections.abc import Iterable, Mapping
from math import prod
from typing import Any

from pipeline.core.models.layers import (
    Conv,
    Kind,
    Linear,
    MaxPool,
    Network,
    Residual,
    parameters,
)


def kernel_counts(network: Network) -> dict[Kind, int]:
    """The number of weights in the kernels of each kind; biases and norms do not count.

    >>> from pipeline.core.models import build
    >>> shape = (1, 28, 28)
    >>> lenet = build("lenet-300-100", widths=None, image_shape=shape, num_classes=10)
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

    >>> from pipeline.core.models import build
    >>> shape = (1, 28, 28)
    >>> lenet = build("lenet-300-100", widths=None, image_shape=shape, num_classes=10)
    >>> trainable_count(lenet)
    266610
    """
    tensors = parameters(network).values()
    return sum(prod(tensor.shape) for tensor in tensors if tensor.trainable)


def positions(network: Network, image_shape: tuple[int, int, int]) -> dict[str, int]:
    """The number of positions of one example at which each kernel is applied.

    Args:
        network: the layers of the network.
        image_shape: (C, H, W).

    Returns:
        By name of the kernel: height × width of a convolution's output, 1 for the others.

    >>> positions((Conv(name="conv1", inputs=1, outputs=2, stride=2),), (1, 5, 5))
    {'conv1.weight': 9}
    """
    return _walk(network, image_shape[1], image_shape[2])[0]


def multiply_adds(
    network: Network, image_shape: tuple[int, int, int], kept: Mapping[str, int]
) -> int:
    """The number of multiply-adds in all kernels, for one forward pass of one example.

    A kept weight costs one per position, and a pruned weight nothing, whatever an engine
    really computes. Padding counts; biases, norms and pools do not.

    Args:
        network: the layers of the network.
        image_shape: (C, H, W).
        kept: number of weights kept by each kernel; a kernel without an entry keeps all.

    >>> network = (Linear(name="fc1", inputs=4, outputs=3),)
    >>> multiply_adds(network, (1, 2, 2), {})
    12
    >>> multiply_adds(network, (1, 2, 2), {"fc1.weight": 5})
    5
    """
    tensors = parameters(network)
    return sum(
        kept.get(name, prod(tensors[name].shape)) * num
        for name, num in positions(network, image_shape).items()
    )


def _walk(network: Network, height: int, width: int) -> tuple[dict[str, int], int, int]:
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
