"""Call a torch module with given tensors in place of its parameters and buffers.

Parameters that a module has under several names are one tensor.
"""

from collections.abc import Mapping

from torch import Tensor, nn
from torch.func import functional_call


def values_of(module: nn.Module) -> dict[str, Tensor]:
    """Parameters and buffers; a tied one stands there once, by its first name."""
    found: dict[str, Tensor] = dict(module.named_parameters())
    return found | dict(module.named_buffers())


def trained_of(module: nn.Module) -> dict[str, nn.Parameter]:
    """The parameters that a training changes."""
    return {name: p for name, p in module.named_parameters() if p.requires_grad}


def places_of(module: nn.Module) -> dict[str, str]:
    """Where each parameter and buffer stands -> its first name.

    A layer with two names is one place. Torch's own ``tie_weights`` takes it for two, and
    does not give it its own tensor back.
    """
    names = {id(value): name for name, value in values_of(module).items()}
    return {
        f"{layer}.{own}" if layer else own: names[id(value)]
        for layer, part in module.named_modules()
        for own, value in (*part._parameters.items(), *part._buffers.items())
        if value is not None
    }


def called(
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
