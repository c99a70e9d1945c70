"""Exported networks in torch: compact ones as modules, binary ones as state dicts."""

from pathlib import Path

import torch
from torch import Tensor

from pipeline.artifacts import files
from pipeline.artifacts.files import ArtifactError
from pipeline.core.models.plain import Plain, from_values, plain
from pipeline.inspect.exports import binary


def load_binary(path: str | Path) -> dict[str, Tensor]:
    """Load the weights that `lt-pipeline export --format binary` has written.

    Args:
        path: of the safetensors file.

    Returns:
        A state dict of the whole network; in each layer that has a mask, weights are 0 or
        of one size, with the signs that the file's seed draws.

    Raises:
        ArtifactError: the file is missing, unreadable or of another form, or its seed
            draws other weights here.
    """
    return {name: torch.tensor(array) for name, array in binary.read(Path(path)).items()}


def load_compact(path: str | Path) -> Plain:
    """Load a network that `lt-pipeline export --format compact` has written.

    Args:
        path: of the safetensors file.

    Returns:
        A module in eval mode, made of plain torch layers. It takes prepared inputs, such
        as normalized images (B, C, H, W), and returns logits.

    Raises:
        ArtifactError: the file is missing, unreadable, or says nothing of layers.
    """
    facts = files.load_facts(Path(path))
    if "layers" not in facts:
        raise ArtifactError(
            f"{path} is no compact network; write one with `lt-pipeline export --format "
            "compact`"
        )
    return plain(from_values(facts["layers"]), files.load_arrays(Path(path)))
