"""The forward pass of a network in plain torch, which defines the meaning of each layer."""

from collections.abc import Callable

import torch.nn.functional as F  # noqa: N812 -- torch's own name for it
from torch import Tensor

from pipeline.core.models.layers import (
    BatchNorm,
    Conv,
    Flatten,
    GlobalAveragePool,
    Layer,
    Linear,
    MaxPool,
    Module,
    Network,
    ReLU,
    Residual,
    Sign,
)
from pipeline.core.models.modules import compute

NORM_MOMENTUM = 0.1
"""share of a batch in the running statistics, torch's default"""
NORM_EPSILON = 1e-5
"""added to the variance, torch's default"""


def forward(
    network: Network, weights: dict[str, Tensor], images: Tensor, *, training: bool
) -> Tensor:
    """Compute the logits of a batch.

    Args:
        network: its layers are applied in order.
        weights: by state-dict name; pruned weights are 0. In training, the running
            statistics among them are updated in place, as torch does.
        images: normalized, (B, C, H, W).
        training: whether batch norm uses the batch's statistics or the running ones.

    Returns:
        Logits (B, num_classes).
    """
    if isinstance(network, Module):
        return compute(network, weights, images, training=training)
    hidden = images
    for layer in network:
        hidden = _apply(layer, weights, hidden, training=training)
    return hidden


def _apply(
    layer: Layer, weights: dict[str, Tensor], hidden: Tensor, *, training: bool
) -> Tensor:
    match layer:
        case Linear(name=name):
            return F.linear(hidden, weights[f"{name}.weight"], weights[f"{name}.bias"])
        case Conv():
            return _conv(layer, weights, hidden)
        case BatchNorm():
            return _norm(layer, weights, hidden, training=training)
        case Residual():
            body = forward(layer.body, weights, hidden, training=training)
            shortcut = forward(layer.shortcut, weights, hidden, training=training)
            return F.relu(body + shortcut)
        case _:
            return _WITHOUT_WEIGHTS[type(layer)](hidden)


def _conv(layer: Conv, weights: dict[str, Tensor], hidden: Tensor) -> Tensor:
    return F.conv2d(
        hidden,
        weights[f"{layer.name}.weight"],
        weights[f"{layer.name}.bias"] if layer.bias else None,
        stride=layer.stride,
        padding=layer.kernel // 2,
    )


def _norm(
    layer: BatchNorm, weights: dict[str, Tensor], hidden: Tensor, *, training: bool
) -> Tensor:
    return F.batch_norm(
        hidden,
        weights[f"{layer.name}.running_mean"],
        weights[f"{layer.name}.running_var"],
        weights[f"{layer.name}.weight"],
        weights[f"{layer.name}.bias"],
        training=training,
        momentum=NORM_MOMENTUM,
        eps=NORM_EPSILON,
    )


def _sign(hidden: Tensor) -> Tensor:
    """The signs; their gradient is that of a curve through (−1, −1), (0, 0) and (1, 1)."""
    inner = hidden.clamp(-1, 1)
    curve = inner * (2 - inner.abs())
    return hidden.detach().sign() + (curve - curve.detach())


def _max_pool(hidden: Tensor) -> Tensor:
    return F.max_pool2d(hidden, 2)


def _global_average_pool(hidden: Tensor) -> Tensor:
    return hidden.mean(dim=(2, 3))


def _flatten(hidden: Tensor) -> Tensor:
    return hidden.flatten(start_dim=1)


_WITHOUT_WEIGHTS: dict[type[Layer], Callable[[Tensor], Tensor]] = {
    ReLU: F.relu,
    Sign: _sign,
    MaxPool: _max_pool,
    GlobalAveragePool: _global_average_pool,
    Flatten: _flatten,
}
