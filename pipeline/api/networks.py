"""Exported compact networks as torch modules."""

from pathlib import Path

from pipeline.artifacts import files
from pipeline.artifacts.files import ArtifactError
from pipeline.core.models.plain import Plain, from_values, plain


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
