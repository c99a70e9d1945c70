"""The values that flow through the core: arrays by parameter name.

The names are those of a plain torch state dict (``fc1.weight``, ``norm2.running_var``).
Functions never write into the arrays they are given.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Weights = dict[str, Floats]
"""Every tensor of a network: kernels, biases, norm parameters and running statistics."""

Mask = dict[str, NDArray[np.bool_]]
"""True = kept; one entry per prunable weight tensor, of that tensor's shape."""

Scores = dict[str, NDArray[np.floating[Any]]]
"""One number per prunable weight, larger = keep; tensors and shapes as in the mask."""

Integers = NDArray[np.int64]
Bytes = NDArray[np.uint8]


def is_finite(weights: Weights, known: Weights) -> bool:
    """Whether a network has only finite numbers where it differs from another.

    A buffer may hold −∞ from the start, as that of an attention mask does: only numbers
    that are not finite and differ are a sign of divergence.

    Args:
        weights: the network.
        known: the other, such as its start, with the tensors of ``weights``.
    """
    return all(
        (np.isfinite(values) | (values == known[name])).all()
        for name, values in weights.items()
    )
