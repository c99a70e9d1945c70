"""Try a torch module with a batch of random examples before a network is made of it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from pipeline.core.description import Description, Images, Tokens
from pipeline.core.models.module_calls import called, places_of, trained_of, values_of
from pipeline.core.threads import one_thread

_EXAMPLES = 2
"""of the batch with which a module is tried"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Trial:
    """What a forward pass shows of a module."""

    applied: dict[str, int]
    """at how many positions of an example each parameter is applied"""
    output_weight: str | None
    """the parameter whose layer gives the output, as it is"""
    draws: bool
    """whether a pass in training draws random numbers"""


def trial_batch(data: Description) -> Tensor:
    """Two random examples, (2, …), drawn from torch's generator."""
    inputs = data.inputs
    if isinstance(inputs, Tokens):
        return torch.randint(inputs.vocabulary, (_EXAMPLES, inputs.length))
    shape = inputs.shape if isinstance(inputs, Images) else (inputs.num_values,)
    return torch.randn(_EXAMPLES, *shape)


def tried(module: nn.Module, batch: Tensor, data: Description) -> Trial:
    """Try a module in evaluation and in training, from the state of torch's generator.

    Args:
        module: with weights; it keeps them, and its buffers too.
        batch: of ``trial_batch``.
        data: what the examples are.

    Raises:
        ValueError: with one line, if the module does not take the batch, gives another
            shape, or remembers anything but its buffers.
    """
    _refuse_lazy(module)
    with one_thread():
        return _tried(module, batch, data)


def refuse_shape(result: object, wanted: tuple[int, ...]) -> None:
    """Raise a ValueError unless a network's output for a batch has the wanted shape."""
    found = tuple(result.shape) if isinstance(result, Tensor) else type(result).__name__
    if found != wanted:
        raise ValueError(f"it gives {found} for {wanted[0]} examples; give {wanted}")


def _tried(module: nn.Module, batch: Tensor, data: Description) -> Trial:
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
    return Trial(
        applied={name: count // _EXAMPLES for name, count in applied.items()},
        output_weight=next((name for name, out in outputs.items() if out is result), None),
        draws=_draws(module, batch, data),
    )


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
    for name in trained_of(module):
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
        output = called(module.train(training), places_of(module), values, given)
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
    return {name: value.detach().clone() for name, value in values_of(module).items()}


def _same(one: Tensor, other: Tensor) -> bool:
    """Whether all entries are equal, NaN to NaN."""
    both_nan = one.isnan() & other.isnan()
    return one.shape == other.shape and bool(((one == other) | both_nan).all())


def _refuse_without_gradient(
    module: nn.Module, output: Tensor, values: Mapping[str, Tensor], data: Description
) -> None:
    trained = [values[name] for name in trained_of(module)]
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


def _positions(
    layer: nn.Module,
    output: Any,  # noqa: ANN401 - torch's
) -> list[tuple[Tensor, int]]:
    """Parameters of a layer, and at how many positions of the batch each was applied."""
    if isinstance(layer, nn.Linear):
        return [(layer.weight, output.numel() // layer.out_features)]
    if isinstance(layer, nn.modules.conv._ConvNd):
        return [(layer.weight, output.numel() // layer.out_channels)]
    if isinstance(layer, nn.Embedding):
        return [(layer.weight, 0)]  # a look-up, no product
    if isinstance(layer, nn.RNNBase | nn.MultiheadAttention):
        steps = output[0].numel() // output[0].shape[-1]
        named = layer.named_parameters()
        return [(weight, steps) for name, weight in named if "weight" in name]
    return []
