"""Form ``onnx``: the network as a graph that onnxruntime and other tools run.

Its input ``inputs`` is a batch as the network sees it, of any size: images normalized,
float32 (B, C, H, W); vectors float32 (B, F); tokens int64 (B, L). Its output is ``logits``.
Pruned weights stand in it as zeros.
"""

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from pipeline.artifacts import files
from pipeline.core.arrays import Floats
from pipeline.core.models.layers import Module
from pipeline.core.models.modules import filled
from pipeline.core.models.plain import plain
from pipeline.inspect.exports.exported import Exported, ExportError

INPUTS, OUTPUTS = "inputs", "logits"
NEEDS = ("onnx", "onnxscript", "onnxruntime")
TRIED = 2
"""examples with which the graph is traced"""


def write(exported: Exported, out: Path) -> str:
    """Write the graph after running it with onnxruntime on the test set.

    Returns:
        The greatest difference from torch.

    Raises:
        ExportError: a package is missing, torch cannot express the network in ONNX, or
            onnxruntime computes something else.
    """
    _refuse_missing()
    graph = _graph(_module(exported), torch.from_numpy(exported.test_inputs[0][:TRIED]))
    for name, value in exported.provenance.items():
        graph.metadata_props.add(key=name, value=str(value))
    content = graph.SerializeToString(deterministic=True)
    difference = exported.refuse_other(_outputs(content, exported), "onnx")
    with files.atomic(out) as temporary:
        temporary.write_bytes(content)
    return f"onnxruntime and torch differ by up to {difference:.1g} on the test set"


def _refuse_missing() -> None:
    from importlib.util import find_spec

    lacking = [name for name in NEEDS if find_spec(name) is None]
    if lacking:
        raise ExportError(
            f"format onnx needs {' and '.join(lacking)}; run "
            "`pip install '/path/to/lt-pipeline[onnx]'`"
        )


def _module(exported: Exported) -> nn.Module:
    if isinstance(exported.network, Module):
        return filled(exported.network, exported.weights)
    return plain(exported.network, exported.weights)


def _graph(module: nn.Module, batch: torch.Tensor) -> Any:  # noqa: ANN401 - onnx's own
    try:
        with _quiet():
            program = torch.onnx.export(
                module,
                (batch,),
                input_names=[INPUTS],
                output_names=[OUTPUTS],
                dynamic_shapes=({0: torch.export.Dim.DYNAMIC},),
                dynamo=True,
                verbose=False,
            )
    except Exception as error:  # torch's exporter raises errors of many kinds
        said = " ".join(f"{type(error).__name__}: {error}".split())[:200]
        raise ExportError(f"torch cannot write the network as ONNX ({said})") from error
    assert program is not None, "as dynamo=True promises"
    return program.model_proto


@contextmanager
def _quiet() -> Iterator[None]:
    """Without what the exporter says to its developers."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)


def _outputs(content: bytes, exported: Exported) -> Floats:
    import onnxruntime

    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    found = [session.run([OUTPUTS], {INPUTS: batch})[0] for batch in exported.test_inputs]
    return np.concatenate(found)
