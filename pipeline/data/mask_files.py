"""Read a mask from a file of the user's, and check it against the network, name by name.

Three forms are read, and no pickle ever:

- what ``lt-pipeline export`` writes: masks as ``mask.NAME`` beside the weights,
- a state dict under ``torch.nn.utils.prune``, saved as safetensors: ``NAME_mask`` beside
  ``NAME_orig``,
- plain boolean arrays by the names of the tensors.
"""

import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load_file

from pipeline.border.errors import UserError
from pipeline.core import masks
from pipeline.core.arrays import Mask
from pipeline.core.models.layers import Module, Network, kernels, parameters
from pipeline.core.registry import did_you_mean

EXPORTED, PRUNED = "mask.", "_mask"
"""before the names of masks that ``export`` writes, behind those of torch's pruning"""
ORIGINAL = "_orig"
"""behind the names of weights that torch's pruning masks"""

Arrays = Mapping[str, NDArray[Any]]


class MaskFileError(UserError):
    """A file of masks cannot be used; the one line says where, what, and what to do."""


def read(name: str, network: Network, root: Path) -> Mask:
    """Read a mask and check that it is one of the network.

    Args:
        name: of the file, .safetensors or .npz.
        network: whose prunable tensors it may name; tensors that it does not name stay
            whole and count in no density.
        root: of the repository; relative paths begin there.

    Raises:
        MaskFileError: with one line, if it cannot be read or is no mask of the network.
    """
    try:
        found = _of_tensors(_masks(_arrays(root / name)), network)
        _check(found, network)
    except ValueError as error:
        raise MaskFileError(f"{name}: {' '.join(str(error).split())}") from None
    return {tensor: found[tensor] for tensor in kernels(network) if tensor in found}


def _arrays(path: Path) -> Arrays:
    if not path.is_file():
        raise ValueError("there is no such file; paths begin at params.yaml")
    try:
        if path.suffix == ".npz":
            with np.load(path, allow_pickle=False) as opened:
                return dict(opened)
        arrays: dict[str, NDArray[Any]] = load_file(path)
    except (SafetensorError, ValueError, OSError, EOFError, zipfile.BadZipFile) as error:
        raise ValueError(f"it cannot be read as {path.suffix[1:]}: {error}") from None
    return arrays


def _masks(arrays: Arrays) -> Mask:
    """The masks among the arrays of a file, by the names of their tensors."""
    exported = {n: n.removeprefix(EXPORTED) for n in arrays if n.startswith(EXPORTED)}
    pruned = {n: n.removesuffix(PRUNED) for n in arrays if n.endswith(PRUNED)}
    # Layers and buffers may be called like masks, too. A mask lies beside what it masks,
    # except in a file that holds masks only.
    of_state_dict = {
        n: tensor for n, tensor in pruned.items() if tensor + ORIGINAL in arrays
    }
    of_ticket = {n: tensor for n, tensor in exported.items() if tensor in arrays}
    found = of_state_dict or of_ticket or exported or pruned
    if found:
        return {tensor: _bool(name, arrays[name]) for name, tensor in found.items()}
    for name, array in arrays.items():
        if array.dtype != np.bool_:
            raise ValueError(
                f"{name} is {array.dtype}; give masks as boolean arrays by the names of "
                f"their tensors, as {EXPORTED}NAME, or as NAME{PRUNED}"
            )
    return dict(arrays)


def _of_tensors(found: Mask, network: Network) -> Mask:
    """The masks by the network's names of the tensors; a tied one may have other names."""
    if not isinstance(network, Module):
        return found
    from pipeline.core.models.modules import state_names

    names = state_names(network)
    masks_of: Mask = {}
    for name, mask in found.items():
        tensor = names.get(name, name)
        if not np.array_equal(masks_of.setdefault(tensor, mask), mask):
            raise ValueError(
                f"{name} and {tensor} are one tensor of the network, and their masks "
                "differ; give one of them"
            )
    return masks_of


def _bool(name: str, array: NDArray[Any]) -> NDArray[np.bool_]:
    if array.dtype != np.bool_ and not np.isin(array, (0, 1)).all():
        raise ValueError(f"{name} has values other than 0 and 1; a mask has 1 for kept")
    return array.astype(np.bool_)


def _check(found: Mask, network: Network) -> None:
    known, prunable = parameters(network), kernels(network)
    shapes = {name: tensor.shape for name, tensor in prunable.items()}
    for name in found:
        if name in known and name not in prunable:
            raise ValueError(f"it masks {name}, which is never pruned; leave it out")
        if name not in known:
            near = did_you_mean(name, prunable)
            raise ValueError(
                f"it masks {name}, which the network does not have{near} (prunable: "
                f"{', '.join(prunable)})"
            )
    if problem := masks.problem(found, shapes):
        raise ValueError(problem)
