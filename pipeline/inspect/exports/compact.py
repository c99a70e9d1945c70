"""Form ``compact``: a smaller dense network that computes the same function."""

from pathlib import Path

import torch
from torch import nn

from pipeline.artifacts import files
from pipeline.core.arrays import Floats
from pipeline.core.models.layers import Module, kernels
from pipeline.core.models.plain import as_values, plain
from pipeline.inspect.exports.compaction import compacted
from pipeline.inspect.exports.exported import Exported, ExportError


def write(exported: Exported, out: Path) -> str:
    """Write its weights; the layers are JSON in the metadata.

    Returns:
        The numbers of weights before and after.

    Raises:
        ExportError: the network is a torch module, or the smaller one computes something
            else on the test set.
    """
    network = exported.network
    if isinstance(network, Module):
        raise ExportError(
            "compact removes units from layer records, and the network is a torch module; "
            "take --format onnx, csr or torch-prune"
        )
    layers, weights = compacted(network, exported.weights)
    exported.refuse_other(_outputs(plain(layers, weights), exported), "compact")
    files.save_arrays(out, weights, layers=as_values(layers), **exported.provenance)
    sizes = [
        sum(tensors[name].size for name in kernels(one))
        for one, tensors in ((network, exported.weights), (layers, weights))
    ]
    kept = sum(int(kept.sum()) for kept in exported.mask.values())
    return f"{sizes[1]} weights instead of {sizes[0]}, of which {kept} are not pruned"


def _outputs(module: nn.Module, exported: Exported) -> Floats:
    with torch.no_grad():
        found = [module(torch.from_numpy(batch)) for batch in exported.test_inputs]
    outputs: Floats = torch.cat(found).numpy()
    return outputs
