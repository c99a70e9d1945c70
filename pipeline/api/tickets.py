"""Exported tickets as torch tensors, and pruned weights that stay pruned in plain torch."""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn.utils import parametrize

from pipeline.artifacts.files import ArtifactError
from pipeline.data.mask_files import EXPORTED


class LoadedTicket(NamedTuple):
    """A ticket: ``weights, mask, hold = load_ticket(path)``."""

    weights: dict[str, Tensor]
    """state-dict name -> the weights that its training begins with"""
    mask: dict[str, Tensor]
    """name of a prunable weight -> bool, True = kept"""
    hold: Callable[[nn.Module], None]
    """keeps the pruned weights of a module as they are in the ticket, which is at zero
    unless its variant freezes them; see ``hold``"""


def load_ticket(path: str | Path) -> LoadedTicket:
    """Load a ticket that `lt-pipeline export` has written.

    Args:
        path: of the safetensors file.

    Raises:
        ArtifactError: the file is missing, unreadable, or holds no mask.
    """
    try:
        arrays = load_file(path)
    except (OSError, SafetensorError) as error:
        raise ArtifactError(
            f"{path} cannot be read ({' '.join(str(error).split())}); write it with "
            "`lt-pipeline export --out`"
        ) from None
    masks = {n for n, array in arrays.items() if _is_mask(n, array)}
    mask = {n.removeprefix(EXPORTED): arrays[n] for n in arrays if n in masks}
    weights = {n: arrays[n] for n in arrays if n not in masks}
    if not mask or not mask.keys() <= weights.keys():
        raise ArtifactError(
            f"{path} holds no mask for its weights; write a ticket with "
            "`lt-pipeline export --out`"
        )
    return LoadedTicket(weights, mask, lambda module: hold(module, weights, mask))


def _is_mask(name: str, array: Tensor) -> bool:
    """Whether it is a mask, not the weights of a layer called mask: those are numbers."""
    return name.startswith(EXPORTED) and array.dtype == torch.bool


def hold(
    module: nn.Module, weights: Mapping[str, Tensor], mask: Mapping[str, Tensor]
) -> None:
    """Keep a module's pruned weights at their values in a ticket, whatever trains it.

    The weights become parametrized (``torch.nn.utils.parametrize``): what the module uses
    is exactly the pruned value under the mask, no gradient reaches it, and no momentum or
    weight decay moves it. Tied weights are held in all layers that have them, and stay
    tied. Make the optimizer afterwards. To get plain tensors back, call
    ``parametrize.remove_parametrizations(layer, "weight")``.

    Args:
        module: with parameters of the mask's names and shapes.
        weights: the ticket's.
        mask: True = kept.

    Raises:
        ValueError: the module lacks a parameter, or has one of another shape.
    """
    parameters = dict(module.named_parameters(remove_duplicate=False))
    for name, kept in mask.items():
        if name not in parameters:
            raise ValueError(
                f"the module has no parameter {name}; it has {', '.join(parameters)}"
            )
        if parameters[name].shape != kept.shape:
            found, wanted = tuple(parameters[name].shape), tuple(kept.shape)
            raise ValueError(f"{name} has shape {found}; the ticket's has {wanted}")
    for name, kept in mask.items():
        held = _Held(kept, weights[name]).to(parameters[name].device)
        for part, tensor in list(_places(module, parameters[name])):
            parametrize.register_parametrization(part, tensor, held)


def _places(module: nn.Module, parameter: nn.Parameter) -> Iterator[tuple[nn.Module, str]]:
    """The layers that have a parameter, with its name in each; a tied one has several."""
    for part in module.modules():
        for name, own in part.named_parameters(recurse=False, remove_duplicate=False):
            if own is parameter:
                yield part, name


class _Held(nn.Module):
    """A weight whose pruned entries are constants."""

    def __init__(self, kept: Tensor, weights: Tensor) -> None:
        super().__init__()
        self.register_buffer("kept", kept, persistent=False)
        pruned = torch.where(kept, torch.zeros_like(weights), weights)
        self.register_buffer("pruned", pruned, persistent=False)

    def forward(self, weight: Tensor) -> Tensor:
        kept, pruned = self.get_buffer("kept"), self.get_buffer("pruned")
        return torch.where(kept, weight, pruned.to(weight.dtype))
