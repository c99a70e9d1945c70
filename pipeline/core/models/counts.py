"""How many weights a network has, by kind."""

from math import prod

from pipeline.core.models.layers import Kind, Network, parameters


def kernel_counts(network: Network) -> dict[Kind, int]:
    """Number of weights in the kernels of each kind; biases and norms do not count.

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


def trainable_count(network: Network) -> int:
    """Number of values an optimizer updates: kernels, biases, norm scales and shifts.

    >>> from pipeline.core.models import build
    >>> shape = (1, 28, 28)
    >>> lenet = build("lenet-300-100", widths=None, image_shape=shape, num_classes=10)
    >>> trainable_count(lenet)
    266610
    """
    tensors = parameters(network).values()
    return sum(prod(tensor.shape) for tensor in tensors if tensor.trainable)
