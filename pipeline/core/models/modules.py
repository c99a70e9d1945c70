"""Networks that a torch module computes, seen as named tensors like all others.

The module itself holds no state: it is called with the tensors of a training in place of
its parameters and buffers (``torch.func.functional_call``). Parameters that ask for no
gradient stay as the module draws them. Parameters that a module has
under several names are one tensor. Buffers are statistics, which no step trains, and which
begin each round as their start says; whole numbers and bools among them, such as the count
of batches that batch norm keeps, are floats in files and of their own types in the module.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from math import prod
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.func import functional_call, vmap

from pipeline.core.arrays import Weights
from pipeline.core.description import Description, Images, Tokens
from pipeline.core.models.layers import KINDS, Kind, Module, Parameter, Role
from pipeline.core.threads import one_thread

EXACT = 2**24
"""whole numbers below it are exact as float32"""
_NORMS = (nn.modules.batchnorm._NormBase, nn.LayerNorm, nn.GroupNorm)
_CONVS = (nn.modules.conv._ConvNd,)
_CELLS = (nn.RNNBase, nn.RNNCellBase)
_TRIAL = 2
"""examples of the batch with which a module is tried"""

Made = nn.Module | tuple[nn.Module, Mapping[str, Kind]]


def described(make: Callable[[], Made], origin: str, data: Description) -> Module:
    """Describe a module as a network, after trying it with a batch of random examples.

    Args:
        make: builds the module afresh, or the module and the kinds of its prunable
            tensors by name; without these, weights of Linear, convolutions, Embedding,
            attention and recurrent cells are prunable.
        origin: names the function, its options and its code; equal origins are the same
            network.
        data: what the examples are.

    Raises:
        ValueError: with one line, if the module does not take such examples, gives another
            shape, has nothing to prune, or has parameters that are not float32.
    """
    with seeded(0):
        made = make()
        module, declared = (
            made if isinstance(made, tuple) and len(made) == 2 else (made, None)
        )
        if not isinstance(module, nn.Module):
            raise ValueError(
                f"it returns {type(made).__name__}; return a torch.nn.Module, a pair of "
                "it and the kinds of its prunable tensors, or a tuple of layer records"
            )
        _refuse_lazy(module)
        batch = trial_batch(data)
        with one_thread():
            applied, output, draws = _tried(module, batch, data)
    tensors = _tensors(module, _kinds(module, output, declared))
    if not any(tensor.kind for tensor in tensors.values()):
        raise ValueError(
            "it has no prunable tensor: no weight of a Linear, convolution, Embedding, "
            "attention or recurrent cell; return (module, {name: kind}) to name some"
        )
    found = Module(
        origin=origin,
        tensors=tensors,
        buffers={name: buffer.dtype for name, buffer in module.named_buffers()},
        places=_places(module),
        applied={name: applied.get(name, 1) for name, t in tensors.items() if t.kind},
        module=module,
        make=make,
        draws=draws,
        stacks=cache(lambda: not draws and _stacks(found, batch)),
    )
    return found


def initial(network: Module, rng: np.random.Generator) -> Weights:
    """The values that the module's own initialization draws from a seeded generator.

    Torch draws them, so other processors may give other bits.
    """
    with seeded(int(rng.integers(2**63))):
        made = network.make()
    module = made[0] if isinstance(made, tuple) else made
    values = _values(module)
    return {
        name: values[name].detach().cpu().numpy().astype(np.float32)
        for name in network.tensors
    }


def compute(
    network: Module, weights: Mapping[str, Tensor], inputs: Tensor, *, training: bool
) -> Tensor:
    """Call the module with these tensors; in training, its statistics change in place.

    The module gets copies of its buffers, in their own dtypes: it may write into them or
    replace them. Changes of buffers are kept in training only.
    """
    if network.module.training != training:
        network.module.train(training)
    held = {name: weights[name] for name in network.tensors}
    for name, dtype in network.buffers.items():
        held[name] = weights[name].to(dtype, copy=True)
    output = _called(network.module, network.places, held, inputs)
    if training:
        for name in network.buffers:
            if held[name].shape == weights[name].shape:  # else it is a cache, made anew
                weights[name].copy_(held[name].detach())
    return output


def _places(module: nn.Module) -> dict[str, str]:
    """Where each parameter and buffer stands -> its first name.

    A layer with two names is one place. Torch's own ``tie_weights`` takes it for two, and
    does not give it its own tensor back.
    """
    names = {id(value): name for name, value in _values(module).items()}
    return {
        f"{layer}.{own}" if layer else own: names[id(value)]
        for layer, part in module.named_modules()
        for own, value in (*part._parameters.items(), *part._buffers.items())
        if value is not None
    }


def _called(
    module: nn.Module,
    places: Mapping[str, str],
    values: dict[str, Tensor],
    inputs: Tensor,
) -> Tensor:
    """Call a module with these tensors; buffers that it replaces are replaced in them."""
    held = {place: values[name] for place, name in places.items()}
    output: Tensor = functional_call(module, held, (inputs,), tie_weights=False)
    values.update({name: held[name] for name in values})
    return output


def state_names(network: Module) -> dict[str, str]:
    """State-dict name -> name of the tensor in the network.

    A tied tensor has several state-dict names; a buffer that is not persistent has none.
    """
    names = {id(value): name for name, value in _values(network.module).items()}
    state = network.module.state_dict(keep_vars=True)
    return {entry: names[id(value)] for entry, value in state.items() if id(value) in names}


def filled(network: Module, weights: Weights) -> nn.Module:
    """The module itself, with these values, in eval mode."""
    module: nn.Module = network.module
    with torch.no_grad():
        for name, value in _values(module).items():
            value.copy_(torch.tensor(weights[name]))
    return module.eval()


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Seed torch's generator inside; afterwards it goes on as before."""
    with torch.random.fork_rng():
        # A module draws its own weights, and torch gives it no other generator.
        torch.manual_seed(seed)  # noqa: TID251
        yield


def _values(module: nn.Module) -> dict[str, Tensor]:
    """Parameters and buffers; a tied one stands there once, by its first name."""
    found: dict[str, Tensor] = dict(module.named_parameters())
    return found | dict(module.named_buffers())


def trial_batch(data: Description) -> Tensor:
    """Two random examples, (2, …), drawn from torch's generator."""
    inputs = data.inputs
    if isinstance(inputs, Tokens):
        return torch.randint(inputs.vocabulary, (_TRIAL, inputs.length))
    shape = inputs.shape if isinstance(inputs, Images) else (inputs.num_values,)
    return torch.randn(_TRIAL, *shape)


def _tried(
    module: nn.Module, batch: Tensor, data: Description
) -> tuple[dict[str, int], str | None, bool]:
    """Positions at which weights are applied, the layer of the output, whether it draws."""
    applied: dict[str, int] = {}
    outputs: dict[str, Tensor] = {}
    values = _copies(module)
    names = {id(values[name]): name for name, _ in module.named_parameters()}

    def seen(layer: nn.Module, _: Any, output: Any) -> None:  # noqa: ANN401 - torch's
        for parameter, positions in _positions(layer, output):
            name = names.get(id(parameter))
            if name is not None:  # a parametrized weight is no parameter
                applied[name] = applied.get(name, 0) + positions
                outputs[name] = output

    with torch.no_grad():
        hooks = [layer.register_forward_hook(seen) for layer in module.modules()]
        try:
            result = _passed(module, values, batch, data, training=False)
        finally:
            for hook in hooks:
                hook.remove()
        again = _passed(module, _copies(module), batch, data, training=False)
    if not _same(result, again):
        raise ValueError(
            "two passes in evaluation give different outputs from the same weights; draw "
            "random numbers, and change state, only while self.training"
        )
    last = next((name for name, out in outputs.items() if out is result), None)
    draws = _draws(module, batch, data)
    return {name: count // _TRIAL for name, count in applied.items()}, last, draws


def _draws(module: nn.Module, batch: Tensor, data: Description) -> bool:
    """Whether a forward pass in training draws random numbers; it is trained once."""
    before = torch.random.get_rng_state()
    output, values = _pass_in_training(module, batch, data)
    draws = not torch.equal(before, torch.random.get_rng_state())
    _refuse_without_gradient(module, output, values, data)
    torch.random.set_rng_state(before)
    again, others = _pass_in_training(module, batch, data)
    buffers = dict(module.named_buffers())
    if made := buffers.keys() - values.keys():
        raise ValueError(
            f"its buffer {min(made)} is made by a forward pass; make it in __init__"
        )
    if not (_same(output, again) and all(_same(values[n], others[n]) for n in buffers)):
        raise ValueError(
            "two passes from the same weights and the same torch seed give different "
            "outputs or buffers; draw with torch, and keep state in buffers only"
        )
    for name in module.state_dict().keys() & buffers.keys():
        _refuse_other_form(name, buffers[name], values[name])
    return draws


def _pass_in_training(
    module: nn.Module, batch: Tensor, data: Description
) -> tuple[Tensor, dict[str, Tensor]]:
    """The output, and parameters and buffers as the pass leaves them."""
    values = _copies(module)
    for name in _trained(module):
        values[name].requires_grad_()
    return _passed(module, values, batch, data, training=True), values


def _passed(
    module: nn.Module,
    values: dict[str, Tensor],
    batch: Tensor,
    data: Description,
    *,
    training: bool,
) -> Tensor:
    """The output of a pass with these parameters and buffers, which it may change."""
    given = batch.clone()
    try:
        output = _called(module.train(training), _places(module), values, given)
    except Exception as error:
        if not training:
            _refuse_long(module, batch)
        raise _failed(data, error) from error
    refuse_shape(output, (len(batch), *data.output_shape))
    if not torch.equal(given, batch):
        raise ValueError("it writes into its inputs; compute them anew")
    found: Tensor = output
    return found


def _copies(module: nn.Module) -> dict[str, Tensor]:
    """Parameters and buffers that a trial may change."""
    return {name: value.detach().clone() for name, value in _values(module).items()}


def _same(one: Tensor, other: Tensor) -> bool:
    """Whether all entries are equal, NaN to NaN."""
    both_nan = one.isnan() & other.isnan()
    return one.shape == other.shape and bool(((one == other) | both_nan).all())


def _refuse_without_gradient(
    module: nn.Module, output: Tensor, values: Mapping[str, Tensor], data: Description
) -> None:
    trained = [values[name] for name in _trained(module)]
    if trained and not output.requires_grad:
        raise ValueError(
            "no gradient reaches its weights in training; compute the output without "
            "detach() and torch.no_grad()"
        )
    try:
        if output.requires_grad:
            torch.autograd.grad(output.sum(), trained, allow_unused=True)
    except Exception as error:
        raise _failed(data, error) from error


def _refuse_other_form(name: str, before: Tensor, after: Tensor) -> None:
    """Raise a ValueError if a buffer has another shape or type now; files hold one form."""
    begun, left = ((tuple(one.shape), one.dtype) for one in (before, after))
    if begun != left:
        raise ValueError(
            f"its buffer {name} is {begun[1]} of shape {begun[0]}, and a pass in training "
            f"makes it {left[1]} of shape {left[0]}; keep its type and shape"
        )


def _trained(module: nn.Module) -> dict[str, nn.Parameter]:
    """The parameters that a training changes."""
    return {name: p for name, p in module.named_parameters() if p.requires_grad}


def _refuse_lazy(module: nn.Module) -> None:
    for name, parameter in module.named_parameters():
        if isinstance(parameter, nn.parameter.UninitializedParameter):
            raise ValueError(f"its parameter {name} has no size yet; use no lazy layers")


def _refuse_long(module: nn.Module, batch: Tensor) -> None:
    """Say it where a module fails on sequences of tokens that are too long for it."""
    if batch.is_floating_point():
        return
    for length in range(batch.shape[1] - 1, 0, -1):
        try:
            with torch.no_grad():
                module(batch[:, :length])
        except Exception:
            continue
        raise ValueError(
            f"it takes sequences of at most {length} tokens, and those of the data have "
            f"{batch.shape[1]}; make room for more in it, or shorten them"
        )


def _failed(data: Description, error: Exception) -> ValueError:
    said = " ".join(f"{type(error).__name__}: {error}".split())
    return ValueError(f"it fails on a batch of {data.inputs}: {said}")


def refuse_shape(result: object, wanted: tuple[int, ...]) -> None:
    """Raise a ValueError unless a network's output for a batch has the wanted shape."""
    found = tuple(result.shape) if isinstance(result, Tensor) else type(result).__name__
    if found != wanted:
        raise ValueError(f"it gives {found} for {wanted[0]} examples; give {wanted}")


def _positions(
    layer: nn.Module,
    output: Any,  # noqa: ANN401 - torch's
) -> list[tuple[Tensor, int]]:
    """Parameters of a layer, and at how many positions of the batch each was applied."""
    if isinstance(layer, nn.Linear):
        return [(layer.weight, output.numel() // layer.out_features)]
    if isinstance(layer, _CONVS):
        return [(layer.weight, output.numel() // layer.out_channels)]
    if isinstance(layer, nn.Embedding):
        return [(layer.weight, 0)]  # a look-up, no product
    if isinstance(layer, nn.RNNBase | nn.MultiheadAttention):
        steps = output[0].numel() // output[0].shape[-1]
        named = layer.named_parameters()
        return [(weight, steps) for name, weight in named if "weight" in name]
    return []


def _tensors(module: nn.Module, kinds: Mapping[str, Kind]) -> dict[str, Parameter]:
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


def _kinds(
    module: nn.Module, output: str | None, declared: Mapping[str, Kind] | None
) -> dict[str, Kind]:
    if declared is not None:
        for name, kind in declared.items():
            if kind not in KINDS:
                raise ValueError(f"{name} is of kind {kind!r}; give {', '.join(KINDS)}")
        return dict(declared)
    names = {id(p): name for name, p in _trained(module).items()}
    found: dict[str, Kind] = {}
    for layer in module.modules():
        for own, kind in _kinds_of(layer).items():
            parameter = names.get(id(getattr(layer, own)))
            if parameter is not None:
                found.setdefault(parameter, kind)
    if output in found and found[output] in ("fc", "conv"):
        found[output] = "output"
    return found


def _kinds_of(layer: nn.Module) -> dict[str, Kind]:
    """The prunable parameters of a layer itself, by the name that it gives them."""
    if isinstance(layer, nn.MultiheadAttention):
        names = ("in_proj_weight", "q_proj_weight", "k_proj_weight", "v_proj_weight")
        return dict.fromkeys(names, "attention")
    if isinstance(layer, nn.modules.linear.NonDynamicallyQuantizableLinear):
        return {"weight": "attention"}  # the output of MultiheadAttention
    if isinstance(layer, nn.Linear):
        return {"weight": "fc"}
    if isinstance(layer, _CONVS):
        return {"weight": "conv"}
    if isinstance(layer, nn.Embedding):
        return {"weight": "embedding"}
    if isinstance(layer, _CELLS):
        own = [name for name, _ in layer.named_parameters()]
        recurrent: dict[str, Kind] = {n: "recurrent" for n in own if "weight_hh" in n}
        return recurrent | {n: "input" for n in own if "weight_ih" in n}
    return {}


def _stacks(network: Module, batch: Tensor) -> bool:
    """Whether torch can compute several such networks at once, gradients included."""
    values = _values(network.module)
    stacked = {
        name: torch.stack([values[name].detach().float()] * 2) for name in network.tensors
    }
    trained = [n for n, t in network.tensors.items() if t.trainable]
    for name in trained:
        stacked[name].requires_grad_()

    def one(weights: dict[str, Tensor], inputs: Tensor) -> Tensor:
        return compute(network, weights, inputs, training=True)

    try:
        output = vmap(one)(stacked, torch.stack([batch, batch]))
        torch.autograd.grad(output.sum(), [stacked[n] for n in trained], allow_unused=True)
    except Exception:
        return False
    return True
