"""Form ``torch-prune``: the state dict of a module that ``torch.nn.utils.prune`` prunes.

That tool keeps a pruned parameter as ``NAME_orig`` and its mask, in the parameter's type,
as the buffer ``NAME_mask``. A module of the same names whose layers went through
``prune.identity`` loads the file strictly. It is safetensors, no pickle.
"""

from pathlib import Path

import numpy as np

from pipeline.artifacts import files
from pipeline.core.arrays import Weights
from pipeline.data.mask_files import ORIGINAL, PRUNED
from pipeline.inspect.exports.exported import Exported


def write(exported: Exported, out: Path) -> str:
    """Write the state dict.

    Raises:
        ExportError: pruned weights are not 0, which the tool would make them.
    """
    exported.refuse_frozen("torch.nn.utils.prune")
    arrays: Weights = {}
    for name, tensor in exported.names.items():
        if tensor in exported.mask:
            arrays[f"{name}{ORIGINAL}"] = exported.weights[tensor]
            arrays[f"{name}{PRUNED}"] = exported.mask[tensor].astype(np.float32)
        else:
            arrays[name] = exported.weights[tensor]
    files.save_arrays(out, arrays, **exported.provenance)
    return ""
