"""The sparse engine for convolutional networks with batch norm, on a CPU.

It trains networks such as ResNet-20 and VGG-16; only kept weights cost time in their
convolutions. This file brings network, mask and data into the form that
``normed_kernels.py`` computes with. Pruned weights do not exist there.
"""

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from pipeline.core.arrays import Floats, Weights
from pipeline.core.models.layers import parameters
from pipeline.core.training.engine import Job, only_job
from pipeline.engines.shared.compiled import aligned, refuse_unfit, tensor
from pipeline.engines.shared.vectors import LANES
from pipeline.engines.sparse_conv import normed_kernels
from pipeline.engines.sparse_conv.normed_records import (
    NormedNet,
    NormedWorkspace,
    Running,
)
from pipeline.engines.sparse_conv.normed_wiring import NormedLayout, wire
from pipeline.engines.sparse_conv.one_network import OneNetwork
from pipeline.engines.suitability import names_of_layers, normed_convolutional


def make(jobs: Sequence[Job]) -> "SparseNorm":
    """Make the sparse engine for networks with batch norm, ready to begin one job.

    Raises:
        ValueError: if there is more than one job, if the job has other layers or another
            device than the engine can do, or if its labels do not fit the logits.
    """
    job = only_job(jobs, "sparse-norm")
    if not normed_convolutional(job.network):
        raise ValueError(
            "the sparse-norm engine trains convolutions without bias, each with a batch "
            "norm behind it, residual blocks whose branches begin with one stride, an "
            f"average pool and one Linear layer; not {names_of_layers(job.network)}; "
            "give train.engine: reference"
        )
    refuse_unfit(job, "sparse-norm")
    return SparseNorm(job)


class SparseNorm(OneNetwork):
    """One network, and the places of its tensors in the kernels' arrays."""

    _train = staticmethod(normed_kernels.train)
    _evaluate = staticmethod(normed_kernels.evaluate)

    def __init__(self, job: Job) -> None:
        super().__init__(job)
        self._layout = wire(job.network, job.mask, job.data)
        self._tensors = parameters(job.network)
        num_kept = sum(len(order) for order in self._layout.kernels.values())
        num_norms = max(norm.stop for norm in self._layout.norms.values())
        num_logits = next(reversed(self._tensors.values())).shape[0]
        self._net = NormedNet(
            self._layout.wiring,
            tensor(np.zeros(num_kept, np.float32)),
            tensor(np.zeros(2 * num_norms + num_logits, np.float32)),
            Running(np.zeros(num_norms, np.float32), np.zeros(num_norms, np.float32)),
        )
        for name, own, at in self._places():
            start = job.start[name]
            own[at] = start[job.mask[name]] if self._is_masked(name) else start.reshape(-1)
        self._work = _workspace(self._layout, job.settings.batch_size, num_logits)

    def weights(self) -> list[Weights]:
        """Copies of the current weights, pruned ones as 0."""
        found: Weights = {}
        for name, own, at in self._places():
            weight = np.zeros(self._tensors[name].shape, np.float32)
            if self._is_masked(name):
                weight[self._job.mask[name]] = own[at]
            else:
                weight.reshape(-1)[:] = own[at]
            found[name] = weight
        return [{name: found[name] for name in self._tensors}]

    def _arrays(self) -> dict[str, Floats]:
        running = self._net.running._asdict()
        return super()._arrays() | {f"running/{name}": a for name, a in running.items()}

    def _is_masked(self, name: str) -> bool:
        return name in self._job.mask

    def _places(self) -> Iterator[tuple[str, Floats, NDArray[np.int64] | slice]]:
        """For each tensor: its name, the array that holds it, and where there."""
        net, layout = self._net, self._layout
        for name, positions in layout.kernels.items():
            yield name, net.weights.value, positions
        num_norms = len(net.running.means)
        for name, channels in layout.norms.items():
            behind = slice(channels.start + num_norms, channels.stop + num_norms)
            yield f"{name}.weight", net.biases.value, channels
            yield f"{name}.bias", net.biases.value, behind
            yield f"{name}.running_mean", net.running.means, channels
            yield f"{name}.running_var", net.running.variances, channels
        last = next(reversed(self._tensors))
        end = 2 * num_norms + self._tensors[last].shape[0]
        yield last, net.biases.value, slice(2 * num_norms, end)


def _workspace(layout: NormedLayout, batch_size: int, num_logits: int) -> NormedWorkspace:
    num_blocks = -(-batch_size // LANES)
    num_columns = num_blocks * LANES
    channels = int(layout.wiring.last[2])
    num_norms = max(norm.stop for norm in layout.norms.values())

    def matrix(rows: int, columns: int) -> Floats:
        return aligned(rows * columns, np.float32).reshape(rows, columns)

    return NormedWorkspace(
        planes=matrix(num_blocks, layout.planes_size),
        gradients=matrix(num_blocks, layout.gradients_size),
        values=aligned(layout.num_conv_weights, np.float32),
        sums=aligned(layout.num_conv_weights * LANES, np.float32),
        lanes=aligned(num_columns, np.float32),
        totals=np.zeros(num_norms),
        squares=np.zeros(num_norms),
        numbers=matrix(num_norms, 4),
        units=matrix(channels, num_columns),
        unit_gradients=matrix(channels, num_columns),
        logits=matrix(num_logits, num_columns),
        logit_gradients=matrix(num_logits, num_columns),
    )
