"""The sparse engine for convolutional networks on a CPU; only kept weights cost time.

This file brings network, mask and data into the form that ``kernels.py`` computes with.
Pruned weights do not exist there, and have no optimizer state.

Conv-2, batch 60, Adam, compared with the faster of the reference and dense engines: .9,
1.7, 5.5 and 12 times as fast on 1 × 28 × 28 at density 1, .5, .1 and .02; .7, 1.3, 4.4 and
10 times on 3 × 32 × 32 (AMD EPYC Zen 5, one thread, torch 2.13, medians of 7, 2026-11-21).
docs/log/convolutions.md tells what was tried, and how closely the engine agrees with the
reference.
"""

from collections.abc import Sequence
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from pipeline.core.arrays import Floats, Weights
from pipeline.core.models.layers import Conv, Linear, layers_of
from pipeline.core.training.engine import Job, only_job
from pipeline.engines.shared.compiled import aligned, refuse_unfit, tensor
from pipeline.engines.shared.vectors import LANES
from pipeline.engines.sparse_conv import kernels
from pipeline.engines.sparse_conv.one_network import OneNetwork
from pipeline.engines.sparse_conv.records import NUM_BLOCKS, WIDTH, Net, Workspace
from pipeline.engines.sparse_conv.wiring import Layout, kept, wire
from pipeline.engines.suitability import names_of_layers, plain_convolutional

Number = TypeVar("Number", np.float32, np.bool_)


def make(jobs: Sequence[Job]) -> "SparseConv":
    """Make the sparse engine for convolutions, ready to begin one job.

    Raises:
        ValueError: if there is more than one job, if the job has other layers or another
            device than the engine can do, or if its labels do not fit the logits.
    """
    job = only_job(jobs, "sparse-conv")
    _check(job)
    return SparseConv(job)


class SparseConv(OneNetwork):
    """One network, and the layout of its kernels' weights."""

    _train = staticmethod(kernels.train)
    _evaluate = staticmethod(kernels.evaluate)

    def __init__(self, job: Job) -> None:
        super().__init__(job)
        self._layers = [x for x in layers_of(job.network) if isinstance(x, Conv | Linear)]
        self._masks = [_by_input(kept(layer, job.mask)) for layer in self._layers]
        layout = wire(job.network, job.mask, job.data)
        weights = [
            _by_input(job.start[f"{layer.name}.weight"])[bits]
            for layer, bits in zip(self._layers, self._masks, strict=True)
        ]
        biases = [job.start[f"{layer.name}.bias"] for layer in self._layers]
        self._net = Net(layout.wiring, tensor(_flat(weights)), tensor(_flat(biases)))
        self._work = _workspace(layout)

    def weights(self) -> list[Weights]:
        """Copies of the current weights, pruned ones as 0."""
        found: Weights = {}
        first_weight, first_bias = 0, 0
        for layer, bits in zip(self._layers, self._masks, strict=True):
            end = first_weight + int(np.count_nonzero(bits))
            weight = np.zeros(bits.shape, np.float32)
            weight[bits] = self._net.weights.value[first_weight:end]
            bias = self._net.biases.value[first_bias : first_bias + layer.outputs]
            found[f"{layer.name}.weight"] = np.ascontiguousarray(_by_input(weight))
            found[f"{layer.name}.bias"] = bias.copy()
            first_weight, first_bias = end, first_bias + layer.outputs
        return [found]


def _check(job: Job) -> None:
    if not plain_convolutional(job.network):
        raise ValueError(
            "the sparse-conv engine trains 3 × 3 convolutions, each with a ReLU and maybe "
            "a MaxPool behind it, then Linear layers; not "
            f"{names_of_layers(job.network)}; "
            "give train.engine: reference"
        )
    refuse_unfit(job, "sparse-conv")


def _by_input(kernel: NDArray[Number]) -> NDArray[Number]:
    """Turn (outputs, inputs, ...) into (inputs, outputs, ...), or back."""
    return kernel.swapaxes(0, 1)


def _flat(parts: Sequence[Floats]) -> Floats:
    return np.concatenate([part.ravel() for part in parts])


def _workspace(layout: Layout) -> Workspace:
    size = layout.plane_size
    num_units = int(layout.wiring.unit_layers[-1])
    return Workspace(
        planes=aligned(NUM_BLOCKS * size, np.float32).reshape(NUM_BLOCKS, size),
        plane_gradients=aligned(size, np.float32),
        values=aligned(layout.num_conv_weights, np.float32),
        sums=aligned(layout.num_conv_weights * LANES, np.float32),
        units=aligned(num_units * WIDTH, np.float32),
        unit_gradients=aligned(num_units * WIDTH, np.float32),
    )
