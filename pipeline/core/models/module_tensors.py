"""Say of each parameter and buffer of a torch module what it is to its layer.

Buffers are statistics: no step trains them, and their start says how they begin each round.
Some are whole numbers or bools, such as the count of batches that batch norm keeps; they
are floats in files, and of their own types in the module.
"""

from collections.abc import Mapping
from math import prod

import torch
from torch import Tensor, nn

from pipeline.core.models.layers import KINDS, Kind, Parameter, Role
from pipeline.core.models.module_calls import trained_of

EXACT = 2**24
"""whole numbers below it are exact as float32"""
_NORMS = (nn.modules.batchnorm._NormBase, nn.LayerNorm, nn.GroupNorm)
_CELLS = (nn.RNNBase, nn.RNNCellBase)


def kinds_of(
    module: nn.Module, output: str | None, declared: Mapping[str, Kind] | None
) -> dict[str, Kind]:
    """The kinds of the tensors that are prunable, by name.

    Args:
        module: with layers of torch's kinds; weights of other layers are not prunable.
        output: the parameter whose layer gives the output; its kind is ``output``.
        declared: kinds that the user gives, which are taken as they are.

    Raises:
        ValueError: with one line, if a kind is unknown.
    """
    if declared is not None:
        for name, kind in declared.items():
            if kind not in KINDS:
                raise ValueError(f"{name} is of kind {kind!r}; give {', '.join(KINDS)}")
        return dict(declared)
    names = {id(p): name for name, p in trained_of(module).items()}
    found: dict[str, Kind] = {}
    for layer in module.modules():
        for own, kind in _layer_kinds(layer).items():
            parameter = names.get(id(getattr(layer, own)))
            if parameter is not None:
                found.setdefault(parameter, kind)
    if output in found and found[output] in ("fc", "conv"):
        found[output] = "output"
    return found


def tensors_of(module: nn.Module, kinds: Mapping[str, Kind]) -> dict[str, Parameter]:
    """Parameters and buffers by name, in the module's order, each with its role.

    Args:
        module: with parameters of float32.
        kinds: of the prunable ones.

    Raises:
        ValueError: with one line, if a type does not fit into files, a tensor to be pruned
            asks for no gradient, or a kind is given to no parameter.
    """
    owners = dict(module.named_modules())
    found: dict[str, Parameter] = {}
    for name, value in module.named_parameters():
        if value.dtype != torch.float32:
            raise ValueError(f"its parameter {name} is {value.dtype}; give float32")
        owner = owners[name.rpartition(".")[0]]
        found[name] = _parameter(name, value, owner, kinds.get(name))
        if not value.requires_grad:
            found[name] = _fixed(name, value, kinds.get(name))
    for name, buffer in module.named_buffers():
        owner = owners[name.rpartition(".")[0]]
        found[name] = Parameter(
            shape=tuple(buffer.shape),
            kind=None,
            role=_buffer_role(name, buffer),
            momentum=_momentum(owner),
        )
    unknown = sorted(set(kinds) - set(found))
    if unknown:
        raise ValueError(f"it has no parameter {unknown[0]!r}, which is given a kind")
    return found


def _layer_kinds(layer: nn.Module) -> dict[str, Kind]:
    """The prunable parameters of a layer itself, by the name that it gives them."""
    if isinstance(layer, nn.MultiheadAttention):
        names = ("in_proj_weight", "q_proj_weight", "k_proj_weight", "v_proj_weight")
        return dict.fromkeys(names, "attention")
    if isinstance(layer, nn.modules.linear.NonDynamicallyQuantizableLinear):
        return {"weight": "attention"}  # the output of MultiheadAttention
    if isinstance(layer, nn.Linear):
        return {"weight": "fc"}
    if isinstance(layer, nn.modules.conv._ConvNd):
        return {"weight": "conv"}
    if isinstance(layer, nn.Embedding):
        return {"weight": "embedding"}
    if isinstance(layer, _CELLS):
        own = [name for name, _ in layer.named_parameters()]
        recurrent: dict[str, Kind] = {n: "recurrent" for n in own if "weight_hh" in n}
        return recurrent | {n: "input" for n in own if "weight_ih" in n}
    return {}


def _parameter(name: str, value: Tensor, owner: nn.Module, kind: Kind | None) -> Parameter:
    shape = tuple(value.shape)
    role: Role = "other"
    if kind is not None:
        role = "kernel"
    elif isinstance(owner, _NORMS):
        role = "shift" if name.endswith("bias") else "scale"
    elif "bias" in name.rpartition(".")[2]:
        role = "bias"
    is_kernel = role == "kernel"
    parts = _parts(owner, name) if is_kernel else 1
    fans = (1, 1)
    if len(shape) > 1:
        fans = prod(shape[1:]), shape[0] * prod(shape[2:]) // parts
    return Parameter(
        shape=shape,
        kind=kind,
        role=role,
        fan_in=fans[0] if is_kernel else 0,
        fan_out=fans[1] if is_kernel else 0,
        parts=parts,
    )


def _parts(owner: nn.Module, name: str) -> int:
    """How many matrices torch packs into a parameter, rows below rows."""
    if isinstance(owner, nn.MultiheadAttention):
        return 3 if name.endswith("in_proj_weight") else 1
    kinds = {4: (nn.LSTM, nn.LSTMCell), 3: (nn.GRU, nn.GRUCell)}
    gates = next((number for number, kind in kinds.items() if isinstance(owner, kind)), 1)
    return 1 if "weight_hr" in name else gates  # an LSTM's projection has none


def _fixed(name: str, value: Tensor, kind: Kind | None) -> Parameter:
    """A parameter that asks for no gradient: like a buffer, no step trains it."""
    if kind is not None:
        raise ValueError(
            f"its parameter {name} is to be pruned, and asks for no gradient; "
            "leave requires_grad as it is, or give it no kind"
        )
    return Parameter(shape=tuple(value.shape), kind=None, role="statistic")


def _buffer_role(name: str, buffer: Tensor) -> Role:
    if buffer.dtype == torch.float32:
        return {"running_mean": "mean", "running_var": "variance"}.get(  # type: ignore[return-value]  # these are roles
            name.rpartition(".")[2], "statistic"
        )
    if buffer.is_complex():
        raise ValueError(
            f"its buffer {name} is {buffer.dtype}; keep torch.view_as_real of it as the "
            "buffer, and take torch.view_as_complex of that in the forward pass"
        )
    if buffer.is_floating_point():
        raise ValueError(
            f"its buffer {name} is {buffer.dtype}; give float32, whole numbers or bools"
        )
    if bool((buffer.to(torch.int64).abs() >= EXACT).any()):
        raise ValueError(
            f"its buffer {name} has whole numbers of {EXACT} and more, which files do not "
            "hold exactly; give smaller ones"
        )
    return "count"


def _momentum(owner: nn.Module) -> float:
    """The share of the first batch in running statistics that begin at 0."""
    momentum = getattr(owner, "momentum", None)
    return 1.0 if momentum is None else float(momentum)
