"""A network is a tuple of layer records, or a torch module described as named tensors.

There is no torch here: initial weights, pruning and the plan need only shapes. The forward
pass in plain torch is in ``forward.py``; fast engines read the records of layers.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Literal, get_args

Kind = Literal[
    "conv", "shortcut", "fc", "output", "recurrent", "input", "embedding", "attention"
]
"""The kind of layer to which a prunable kernel belongs; fractions are given per kind."""
KINDS: tuple[Kind, ...] = get_args(Kind)
Role = Literal[
    "kernel", "bias", "scale", "shift", "mean", "variance", "statistic", "count", "other"
]
"""What a tensor is to its layer. Statistics and counts are buffers of torch modules; counts
hold whole numbers or bools."""
STATISTICS: tuple[Role, ...] = ("mean", "variance", "statistic", "count")
"""roles of tensors that no optimizer updates"""
NORMS: Mapping[Role, float] = MappingProxyType({"scale": 1.0, "shift": 0.0})
"""roles of what a norm trains -> the value with which it does nothing"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Linear:
    """y = x Wᵀ + b; weight (outputs, inputs)."""

    name: str
    inputs: int
    outputs: int
    kind: Kind = "fc"


@dataclass(frozen=True, kw_only=True, slots=True)
class Conv:
    """A k × k convolution with "same" padding; weight (outputs, inputs, k, k)."""

    name: str
    inputs: int
    outputs: int
    kernel: int = 3
    stride: int = 1
    bias: bool = True
    kind: Kind = "conv"


@dataclass(frozen=True, kw_only=True, slots=True)
class BatchNorm:
    """Per-channel normalization with scale, shift and running statistics."""

    name: str
    channels: int


@dataclass(frozen=True, slots=True)
class ReLU:
    """max(0, x)."""


@dataclass(frozen=True, slots=True)
class Sign:
    """sign(x), of slope 2 (1 − |x|) for |x| ≤ 1 and 0 elsewhere in the backward pass.

    Source: Liu et al. 2018, "Bi-Real Net", arXiv:1808.00278. sign(0) = 0.
    """


@dataclass(frozen=True, slots=True)
class MaxPool:
    """2 × 2 windows, stride 2; odd borders are dropped."""


@dataclass(frozen=True, slots=True)
class GlobalAveragePool:
    """Mean over height and width: (B, C, H, W) -> (B, C)."""


@dataclass(frozen=True, slots=True)
class Flatten:
    """(B, C, H, W) -> (B, C·H·W)."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Residual:
    """relu(body(x) + shortcut(x)); an empty shortcut is the identity."""

    body: "Layers"
    shortcut: "Layers" = ()


Layer = (
    Linear
    | Conv
    | BatchNorm
    | ReLU
    | Sign
    | MaxPool
    | GlobalAveragePool
    | Flatten
    | Residual
)
Layers = tuple[Layer, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Parameter:
    """One tensor of a network."""

    shape: tuple[int, ...]
    kind: Kind | None
    """kind of a prunable kernel; None for biases, norm parameters and statistics, which
    are never pruned"""
    role: Role
    fan_in: int = 0
    """inputs × k² of a kernel; 0 for other tensors"""
    fan_out: int = 0
    """outputs × k² of a kernel; 0 for other tensors"""
    momentum: float = 0.1
    """share of a batch in a running statistic, torch's default"""
    parts: int = 1
    """matrices that are packed into this one, rows below rows: the gates of a cell, or
    query, key and value"""

    @property
    def trainable(self) -> bool:
        """Whether an optimizer updates it (running statistics are not)."""
        return self.role not in STATISTICS


@dataclass(frozen=True, kw_only=True, slots=True)
class Module:
    """A network that a torch module computes (``modules.py``)."""

    origin: str
    """names its function, options and code; networks of one origin are equal"""
    tensors: Mapping[str, Parameter] = field(compare=False, repr=False)
    """parameters and then buffers, by state-dict name; a tied one has its first name"""
    buffers: Mapping[str, Any] = field(compare=False, repr=False)
    """the dtype of each buffer in the module"""
    places: Mapping[str, str] = field(compare=False, repr=False)
    """where in the module each tensor stands -> its name; a tied one stands in several"""
    applied: Mapping[str, int] = field(compare=False, repr=False)
    """number of positions of one example at which each prunable tensor is applied"""
    module: Any = field(compare=False, repr=False)
    """the ``torch.nn.Module``; its own values are never used"""
    make: Callable[[], Any] = field(compare=False, repr=False)
    """builds the module afresh, its initial values drawn from torch's generator"""
    draws: bool = field(compare=False, repr=False)
    """whether a forward pass in training draws random numbers (dropout)"""
    stacks: Callable[[], bool] = field(compare=False, repr=False)
    """tells whether ``torch.func.vmap`` can compute several of them at once"""


Network = Layers | Module


def parameters(network: Network) -> dict[str, Parameter]:
    """All tensors of a network, in layer order, by state-dict name."""
    if isinstance(network, Module):
        return dict(network.tensors)
    found: dict[str, Parameter] = {}
    for layer in network:
        match layer:
            case Linear():
                found |= _kernel_and_bias(layer, (layer.outputs, layer.inputs), 1)
            case Conv():
                shape = (layer.outputs, layer.inputs, layer.kernel, layer.kernel)
                found |= _kernel_and_bias(layer, shape, layer.kernel**2)
            case BatchNorm():
                found |= _norm(layer)
            case Residual():
                found |= parameters(layer.body) | parameters(layer.shortcut)
            case _:
                pass
    return found


def has_statistics(network: Network) -> bool:
    """Whether a network has running statistics, which no step trains."""
    return any(not p.trainable for p in parameters(network).values())


def has_norms(network: Network) -> bool:
    """Whether a network has norms whose scales and shifts train."""
    return any(p.role in NORMS for p in parameters(network).values())


def has_signs(network: Network) -> bool:
    """Whether layer records have sign units; what a torch module computes is not known."""
    if isinstance(network, Module):
        return False
    return any(
        isinstance(layer, Sign)
        or (isinstance(layer, Residual) and has_signs((*layer.body, *layer.shortcut)))
        for layer in network
    )


def kernels(network: Network) -> dict[str, Parameter]:
    """The tensors that a mask may have: kernels of linear layers and convolutions."""
    return {name: tensor for name, tensor in parameters(network).items() if tensor.kind}


def _kernel_and_bias(
    layer: Linear | Conv, shape: tuple[int, ...], area: int
) -> dict[str, Parameter]:
    kernel = Parameter(
        shape=shape,
        kind=layer.kind,
        role="kernel",
        fan_in=layer.inputs * area,
        fan_out=layer.outputs * area,
    )
    found = {f"{layer.name}.weight": kernel}
    if isinstance(layer, Linear) or layer.bias:
        bias = Parameter(shape=(layer.outputs,), kind=None, role="bias")
        found[f"{layer.name}.bias"] = bias
    return found


def _norm(layer: BatchNorm) -> dict[str, Parameter]:
    names: dict[str, Role] = {
        "weight": "scale",
        "bias": "shift",
        "running_mean": "mean",
        "running_var": "variance",
    }
    return {
        f"{layer.name}.{name}": Parameter(shape=(layer.channels,), kind=None, role=role)
        for name, role in names.items()
    }


def layers_of(network: Network) -> Layers:
    """The layers of a network, for what reads layers only.

    Raises:
        ValueError: if it is a torch module.
    """
    if isinstance(network, Module):
        raise ValueError(f"{network.origin} is a torch module, which has no layer records")
    return network


def pooled_size(
    model: str, image_shape: tuple[int, int, int], num_pools: int
) -> tuple[int, int]:
    """Height and width of an image behind a number of MaxPools.

    Raises:
        ValueError: if nothing is left of the image; the message names the model.

    >>> pooled_size("conv-4", (1, 28, 28), 2)
    (7, 7)
    """
    _, height, width = image_shape
    smallest = 2**num_pools
    if min(height, width) < smallest:
        raise ValueError(
            f"{model} halves its images {num_pools} times, and {height}×{width} pixels "
            f"are too few; take images of at least {smallest}×{smallest}, or a model "
            "with fewer pools (lenet-300-100, conv-2, resnet-20)"
        )
    return height // smallest, width // smallest
