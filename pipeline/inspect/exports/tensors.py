"""Form ``safetensors``: weights and masks under their names, for ``load_ticket``."""

from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from pipeline.artifacts import files
from pipeline.data.mask_files import EXPORTED
from pipeline.inspect.exports.exported import Exported


def write(exported: Exported, out: Path) -> str:
    """Write one safetensors file; the provenance is JSON in its metadata."""
    arrays: dict[str, NDArray[Any]] = {
        name: exported.weights[tensor] for name, tensor in exported.names.items()
    }
    arrays |= {f"{EXPORTED}{tensor}": kept for tensor, kept in exported.mask.items()}
    files.save_arrays(out, arrays, **exported.provenance)
    return ""
