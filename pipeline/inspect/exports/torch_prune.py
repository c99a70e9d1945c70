"""Form ``torch-prune``: the state dict of a module that ``torch.nn.utils.prune`` prunes.

That tool keeps a pruned parameter as ``NAME_orig`` and its mask, in the parameter's type,
as the buffer ``NAME_mask``. A module of the same names whose layers went through
``prune.identity`` loads the file strictly. It is safetensors, no pickle.
"""

from pathlib import Path

import numpy as np

from pipeline.artifacts import files
from pipeline.inspect.exports.exported import Exported


def write(exported: Exported, out: Path) -> str:
    """Write the state dict.

    Raises:
        ExportError: pruned weights are not 0, which the tool would make them.
    """
    exported.refuse_frozen("torch.nn.utils.prune")
    arrays = {n: w for n, w in exported.weights.items() if n not in exported.mask}
    for name, kept in exported.mask.items():
        arrays[f"{name}_orig"] = exported.weights[name]
        arrays[f"{name}_mask"] = kept.astype(np.float32)
    files.save_arrays(out, arrays, **exported.provenance)
    return ""
