"""Form ``csr``: the kept weights of each layer as a sparse matrix, rows compressed.

A weight (outputs, inputs, …) is a matrix of one row per output; a convolution's k × k
windows lie side by side in it, as its reshape to (outputs, -1) has them. A kept weight is
an entry even if its value is 0. All other tensors stay dense.
"""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.artifacts import files
from pipeline.inspect.exports.exported import Exported


def write(exported: Exported, out: Path) -> str:
    """Write crow_indices, col_indices, values and size (rows, columns) of each weight.

    Raises:
        ExportError: pruned weights are not 0.
    """
    exported.refuse_frozen("a sparse matrix")
    arrays: dict[str, NDArray[Any]] = {}
    shapes: dict[str, list[int]] = {}
    for name, tensor in exported.names.items():
        if tensor not in exported.mask:
            arrays[name] = exported.weights[tensor]
            continue
        kept = exported.mask[tensor]
        shapes[name] = list(kept.shape)
        rows = kept.reshape(len(kept), -1)
        ends = np.cumsum(rows.sum(axis=1), dtype=np.int64)
        arrays[f"{name}.crow_indices"] = np.concatenate([np.zeros(1, np.int64), ends])
        arrays[f"{name}.col_indices"] = np.nonzero(rows)[1].astype(np.int64)
        arrays[f"{name}.values"] = exported.weights[tensor][kept]
        arrays[f"{name}.size"] = np.array(rows.shape, np.int64)
    files.save_arrays(out, arrays, shapes=shapes, **exported.provenance)
    return ""
