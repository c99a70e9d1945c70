"""Forward and backward pass of every type of layer in the dense engine.

The passes are written out without autograd, for two reasons. On processors that MKL does
not know, ``torch.mm`` runs at half the speed of the machine, so large matrix products go
through oneDNN instead. And convolutions are fastest with channels-last images, forward
and back.

AMD EPYC (Zen 5), one thread, torch 2.13, 2026-11-21: 60×784 by 784×300 takes 142 µs
with oneDNN, 288 µs with torch.mm; a Conv-4 step for CIFAR-10, batch 60, takes 170 ms
instead of 223. Intel Xeon (AVX-512), the same day: that product takes 219 µs with oneDNN,
208 with MKL, its weight gradient 211 and 164; a LeNet-300-100 step 1,130 and 940. Conv-2
on MNIST, batch 60, on such a Xeon (Sapphire Rapids), 2026-11-28: 103 ms, of which matrix
products and convolutions take 84; the reference takes 125.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from pipeline.core.models.layers import (
    Conv,
    Flatten,
    GlobalAveragePool,
    Layer,
    Linear,
    MaxPool,
    Network,
    ReLU,
    layers_of,
)

SMALL_PRODUCT = 500_000
"""largest number of multiplications for which oneDNN's 10 µs of preparation do not pay"""
_CHANNELS_LAST = torch.channels_last


def _uses_onednn() -> bool:
    """Whether torch has oneDNN, but not MKL together with an Intel processor."""
    by_intel = "Intel" in str(torch.cpu.get_capabilities().get("cpu_name", ""))
    return torch.backends.mkldnn.is_available() and not (
        by_intel and torch.backends.mkl.is_available()
    )


USES_ONEDNN = _uses_onednn()
"""whether oneDNN computes large products; else the library of ``torch.mm`` does"""

Gradients = Callable[[Network, dict[str, Tensor], Tensor, Tensor], dict[str, Tensor]]
"""Network, weights, images, target -> the gradients of a batch, as by ``gradients``."""

Pull = Callable[[Tensor], Tensor | None]
"""Gradient of a layer's output -> gradient of its input, or None if it is not needed."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Pass:
    """The weights and gradients that the layers of one pass share."""

    weights: dict[str, Tensor]
    gradients: dict[str, Tensor]
    """the gradients by name, filled in by the backward pass"""


def logits(network: Network, weights: dict[str, Tensor], images: Tensor) -> Tensor:
    """The forward pass alone, (B, num_classes).

    Args:
        network: layers of LAYERS.
        weights: by name; kernels of convolutions channels-last.
        images: normalized, (B, C, H, W).
    """
    hidden, is_input = images, True
    this = Pass(weights=weights, gradients={})
    for layer in in_order(network):
        hidden, _ = LAYERS[type(layer)](layer, this, hidden, is_input)
        is_input = is_input and isinstance(layer, Flatten)
    return hidden


def gradients(
    network: Network, weights: dict[str, Tensor], images: Tensor, target: Tensor
) -> dict[str, Tensor]:
    """The gradients of the mean cross-entropy of a batch, by name.

    Args:
        network: layers of LAYERS.
        weights: by name; kernels of convolutions channels-last.
        images: normalized, (B, C, H, W).
        target: one-hot, (B, num_classes).

    Returns:
        One gradient per tensor, in its tensor's memory format.
    """
    hidden, is_input = images, True
    this = Pass(weights=weights, gradients={})
    pulls: list[Pull] = []
    for layer in in_order(network):
        hidden, pull = LAYERS[type(layer)](layer, this, hidden, is_input)
        pulls.append(pull)
        is_input = is_input and isinstance(layer, Flatten)
    gradient: Tensor | None = hidden.softmax(1).sub_(target).div_(len(target))
    while pulls and gradient is not None:
        gradient = pulls.pop()(gradient)
    return this.gradients


def in_order(network: Network) -> list[Layer]:
    """The layers as they are computed: a ReLU before a pool comes behind it.

    The largest of four numbers is the same before and after a ReLU, and so are all
    gradients, but the ReLU has a quarter of the work.
    """
    layers = list(layers_of(network))
    for k in range(1, len(layers)):
        if isinstance(layers[k - 1], ReLU) and isinstance(layers[k], MaxPool):
            layers[k - 1 : k + 1] = layers[k], layers[k - 1]
    return layers


def product(left: Tensor, right: Tensor, bias: Tensor | None = None) -> Tensor:
    """Left (M, K) times right (N, K) transposed, plus bias (N,): (M, N).

    Which library computes it depends on the shapes and the processor alone, so that bits
    repeat.
    """
    if not USES_ONEDNN or len(left) * right.numel() <= SMALL_PRODUCT:
        return F.linear(left, right, bias)
    # Torch's own compiler calls this for a linear layer; all strides are allowed. The
    # fused ReLU is not used, because it swallows NaN.
    computed: Tensor = torch.ops.mkldnn._linear_pointwise(left, right, bias, "none", [], "")
    return computed


def channels_last(x: Tensor) -> Tensor:
    """The same numbers with channels last in memory, and known to be.

    Images of one channel lie in memory as both formats demand. Torch then takes them for
    channels first, and computes all that follows in that format, in which it is slower.
    """
    x = x.contiguous(memory_format=_CHANNELS_LAST)
    channels, height, width = x.shape[1:]
    strides = (channels * height * width, 1, channels * width, channels)
    return x.as_strided(x.shape, strides)


def _linear(layer: Layer, this: Pass, x: Tensor, is_input: bool) -> tuple[Tensor, Pull]:  # noqa: FBT001
    assert isinstance(layer, Linear)
    weight_name, bias_name = f"{layer.name}.weight", f"{layer.name}.bias"
    weight = this.weights[weight_name]

    def pull(gradient: Tensor) -> Tensor | None:
        this.gradients[weight_name] = product(gradient.t(), x.t())
        this.gradients[bias_name] = gradient.sum(0)
        return None if is_input else product(gradient, weight.t())

    return product(x, weight, this.weights[bias_name]), pull


def _conv(layer: Layer, this: Pass, x: Tensor, is_input: bool) -> tuple[Tensor, Pull]:  # noqa: FBT001
    assert isinstance(layer, Conv)
    weight_name, bias_name = f"{layer.name}.weight", f"{layer.name}.bias"
    weight = this.weights[weight_name]
    bias = this.weights[bias_name] if layer.bias else None
    padding = layer.kernel // 2
    images = channels_last(x)

    def pull(gradient: Tensor) -> Tensor | None:
        of_input, of_weight, _ = torch.ops.aten.convolution_backward(
            *(gradient, images, weight, [layer.outputs]),
            *([layer.stride] * 2, [padding] * 2, [1, 1], False, [0, 0], 1),
            [not is_input, True, False],
        )
        this.gradients[weight_name] = of_weight.contiguous(memory_format=_CHANNELS_LAST)
        if layer.bias:  # oneDNN's own sum takes twice as long, and is 4e-6 off
            this.gradients[bias_name] = gradient.sum((0, 2, 3))
        found: Tensor | None = of_input
        return found

    return F.conv2d(images, weight, bias, layer.stride, padding), pull


def _relu(layer: Layer, this: Pass, x: Tensor, is_input: bool) -> tuple[Tensor, Pull]:  # noqa: ARG001, FBT001
    # In place: no layer reads its own output again, except another ReLU.
    y = x.relu() if is_input else x.relu_()

    def pull(gradient: Tensor) -> Tensor:
        into = torch.ops.aten.threshold_backward.grad_input
        found: Tensor = into(gradient, y, 0, grad_input=gradient)
        return found

    return y, pull


def _max_pool(layer: Layer, this: Pass, x: Tensor, is_input: bool) -> tuple[Tensor, Pull]:  # noqa: ARG001, FBT001
    window = ([2, 2], [2, 2], [0, 0], [1, 1], False)
    y, winners = torch.ops.aten.max_pool2d_with_indices(x, *window)

    def pull(gradient: Tensor) -> Tensor:
        spread: Tensor = torch.ops.aten.max_pool2d_with_indices_backward(
            gradient, x, *window, winners
        )
        return spread

    return y, pull


def _average(layer: Layer, this: Pass, x: Tensor, is_input: bool) -> tuple[Tensor, Pull]:  # noqa: ARG001, FBT001
    def pull(gradient: Tensor) -> Tensor:
        share = gradient.div(x.shape[2] * x.shape[3])[:, :, None, None]
        return share.expand(x.shape).contiguous(memory_format=_CHANNELS_LAST)

    return x.mean((2, 3)), pull


def _flatten(layer: Layer, this: Pass, x: Tensor, is_input: bool) -> tuple[Tensor, Pull]:  # noqa: ARG001, FBT001
    def pull(gradient: Tensor) -> Tensor:
        return gradient.view(x.shape).contiguous(memory_format=_CHANNELS_LAST)

    return x.flatten(1), pull


Apply = Callable[[Layer, Pass, Tensor, bool], tuple[Tensor, Pull]]
"""Layer, pass, input, whether the input is the images -> output, function for the way
back."""

LAYERS: dict[type[Layer], Apply] = {
    Linear: _linear,
    Conv: _conv,
    ReLU: _relu,
    MaxPool: _max_pool,
    GlobalAveragePool: _average,
    Flatten: _flatten,
}
"""BatchNorm is not among them: torch's channels-last statistics are sums in plain
float32, 1e-5 off for 128 images of 32×32, and other formats are no faster than autograd."""
