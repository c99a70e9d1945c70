"""The sparse engine trains fully connected networks on a CPU; only kept weights cost time.

This file brings network, mask and data into the form that ``kernels.py`` computes with.
Pruned weights do not exist there, and have no optimizer state.

LeNet-300-100, batch 60, Adam, compared with only the matrix products of a dense step
(1,650/s): 1.2, 2.9, 5.3, 11, 23 times as fast at density .5, .2, .1, .036, .01 (Intel Xeon
with AVX-512, one thread, torch 2.13, median of 7, 2026-11-22). ``python
benchmarks/engines.py`` measures your machine.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from pipeline.core.arrays import Floats, Integers, Mask, Weights
from pipeline.core.models.layers import Linear, layers_of
from pipeline.core.training.engine import Evaluation, Job, State, only_job
from pipeline.engines.shared.compiled import (
    aligned,
    augmented,
    flat,
    optimizer_numbers,
    refuse_unfit,
    tensor,
)
from pipeline.engines.shared.kernels import Rule
from pipeline.engines.shared.rows import CHUNK
from pipeline.engines.shared.vectors import LANES, MAX_VECTORS, Shape, block_shape
from pipeline.engines.sparse import kernels
from pipeline.engines.sparse.records import Arranged, Net, Scaling, Tiles, Wiring, Workspace
from pipeline.engines.sparse.tiles import TILE, are_few, arranged, make_tiles
from pipeline.engines.sparse.wiring import Bools, wire
from pipeline.engines.suitability import fully_connected, names_of_layers

BLOCK: Shape = (0,) * MAX_VECTORS
"""shape of the blocks in which a split is evaluated if too much is read for tiles"""


def make(jobs: Sequence[Job]) -> "Sparse":
    """Make the sparse engine, ready to begin one job.

    Raises:
        ValueError: if there is more than one job, if the job has other layers or another
            device than the engine can do, or if its labels do not fit the logits.
    """
    job = only_job(jobs, "sparse")
    _check(job)
    return Sparse(job)


class Sparse:
    """One network without its pruned weights, its optimizer state, and its data."""

    def __init__(self, job: Job) -> None:
        self._step = job.first_step
        layers = layers_of(job.network)
        self._layers = [layer for layer in layers if isinstance(layer, Linear)]
        self._order = job.batch_order()
        self._splits: dict[str, Arranged] = {}
        self._train = flat(job.data.train.images, job.data.train.labels, CHUNK)
        self._lay_out(job)

    def _lay_out(self, job: Job) -> None:
        """Lay the network out around the weights that the job's mask keeps."""
        self._job = job
        self._masks = [_kept(job, layer) for layer in self._layers]
        weights = [
            job.start[f"{layer.name}.weight"][kept]
            for layer, kept in zip(self._layers, self._masks, strict=True)
        ]
        biases = [job.start[f"{layer.name}.bias"] for layer in self._layers]
        self._shape = block_shape(job.settings.batch_size)
        num_columns = min(job.settings.batch_size, LANES * len(self._shape))
        wiring, scaling, self._reads, place = wire(self._masks, job.data, num_columns)
        self._place = place
        """position of each weight in the kernels' order, by its number in the masks'"""
        values = np.empty(len(place), np.float32)
        values[place] = np.concatenate(weights)
        self._net = Net(wiring, scaling, tensor(values), tensor(np.concatenate(biases)))
        self._work = _workspace(wiring, self._shape)
        self._tile_work = _workspace(wiring, TILE)
        self._block_work = _workspace(wiring, BLOCK)
        self._tiles: dict[str, Tiles] = {}

    def advance(self, num_steps: int) -> None:
        """Run that many optimizer steps."""
        order = self._order.indices(self._step, num_steps)
        rule = Rule(*optimizer_numbers(self._job, self._step, num_steps))
        if self._job.settings.augment == "flip-crop":
            self._advance_augmented(order, rule)
        else:
            kernels.train(self._net, self._train, order, rule, self._work, self._shape)
        self._step += num_steps

    def evaluate(self, split: str) -> list[Evaluation]:
        """Loss and accuracy on ``train``, ``validation`` or ``test``."""
        if split not in self._splits:
            self._splits[split] = arranged(getattr(self._job.data, split))
        found = self._splits[split]
        if are_few(self._reads, found):
            loss, correct = self._evaluate_tiles(split, found)
        else:
            loss, correct = self._evaluate_blocks(found)
        size = len(found.labels)
        return [Evaluation(loss=loss / size, accuracy=correct / size)]

    def _evaluate_tiles(self, name: str, split: Arranged) -> tuple[float, int]:
        net, work = self._net, self._tile_work
        if name not in self._tiles:
            self._tiles[name] = make_tiles(split, net, self._reads, work)
        found: tuple[float, int] = kernels.evaluate_tiles(
            net, self._reads, self._tiles[name], split.labels, work, TILE
        )
        return found

    def _evaluate_blocks(self, split: Arranged) -> tuple[float, int]:
        net, scaling = self._net, self._net.scaling
        none = scaling._replace(
            offset=0 * scaling.offset, rim_offset=0 * scaling.rim_offset
        )
        found: tuple[float, int] = kernels.evaluate(
            net, net._replace(scaling=none), split, self._block_work, BLOCK
        )
        return found

    def weights(self) -> list[Weights]:
        """Copies of the current weights, pruned ones as 0."""
        found: Weights = {}
        values = self._net.weights.value[self._place]
        first_weight, first_unit = 0, 0
        for layer, kept in zip(self._layers, self._masks, strict=True):
            end = first_weight + int(np.count_nonzero(kept))
            weight = np.zeros(kept.shape, np.float32)
            weight[kept] = values[first_weight:end]
            bias = self._net.biases.value[first_unit : first_unit + layer.outputs]
            found |= {f"{layer.name}.weight": weight, f"{layer.name}.bias": bias.copy()}
            first_weight, first_unit = end, first_unit + layer.outputs
        return [found]

    def state(self) -> State:
        """Values and moments of kept weights, in the masks' order, and of biases."""
        return {name: array[place] for name, array, place in self._arrays()}

    def restore(self, state: State, step: int) -> None:
        """Continue after ``step`` steps, counted from initialization."""
        self._step = step
        for name, array, place in self._arrays():
            array[place] = state[name]

    def gradients(self) -> list[Weights]:
        """The gradients of the next batch with respect to all weights, in plain torch."""
        from pipeline.engines.sparse.every_gradient import every_gradient

        return [every_gradient(self._job, self.weights()[0], self._step)]

    def restrict(self, masks: Sequence[Mask]) -> None:
        """Go on under another mask: lay the network out around its weights."""
        (mask,) = masks
        before, state = self._kept_positions(), self.state()
        self._lay_out(replace(self._job, mask=mask, start=self.weights()[0]))
        after = self._kept_positions()
        for name, array, place in self._arrays():
            if name.startswith("weights/"):
                whole = np.zeros(sum(kept.size for kept in self._masks), np.float32)
                whole[before] = state[name]
                array[place] = whole[after]
            else:
                array[place] = state[name]

    def _kept_positions(self) -> Integers:
        """Positions of the kept weights among all weights, in the masks' order."""
        return np.flatnonzero(np.concatenate([kept.ravel() for kept in self._masks]))

    def _arrays(self) -> Iterator[tuple[str, Floats, Integers]]:
        """The arrays that a continuation needs, each with its numbers' positions.

        Gradients are 0 between steps.
        """
        places = {"weights": self._place, "biases": np.arange(len(self._net.biases.value))}
        for kind, place in places.items():
            for part in ("value", "moment", "square"):
                yield f"{kind}/{part}", getattr(getattr(self._net, kind), part), place

    def _advance_augmented(self, order: Integers, rule: Rule) -> None:
        """Advance step by step: the 0 on the border of moved images is no whole pixel."""
        net, work = _for_floats(self._net, self._work)
        for images, labels, one, now in augmented(self._job, order, rule, self._step):
            kernels.train(net, flat(images, labels, CHUNK), one, now, work, self._shape)


def _check(job: Job) -> None:
    if not fully_connected(job.network):
        raise ValueError(
            "the sparse engine trains Linear layers with ReLU between them, not "
            f"{names_of_layers(job.network)}; "
            "give train.engine: reference"
        )
    refuse_unfit(job, "sparse")


def _kept(job: Job, layer: Linear) -> Bools:
    everything = np.ones((layer.outputs, layer.inputs), np.bool_)
    return job.mask.get(f"{layer.name}.weight", everything)


def _workspace(wiring: Wiring, shape: Shape) -> Workspace:
    width = LANES * len(shape)
    num_rim = len(wiring.rim_ends)
    return Workspace(
        begins=np.empty(width, np.int64),
        pixels=aligned((wiring.num_core + num_rim + 1) * width // 2, np.uint32),
        is_lit=np.zeros(num_rim, np.bool_),
        lit=np.empty(num_rim, np.int64),
        block=aligned(wiring.block_rows * width, np.float32),
        biases=np.empty(wiring.num_units, np.float32),
        outputs=aligned(wiring.num_units * width, np.float32),
        gradients=aligned(wiring.num_units * width, np.float32),
        totals_of_units=np.empty(wiring.num_units, np.float32),
        shares=aligned(width, np.float32),
        peaks=aligned(width, np.float32),
        totals=aligned(width, np.float32),
    )


def _for_floats(net: Net, work: Workspace) -> tuple[Net, Workspace]:
    """Network and workspace for images already normalized: two words per pixel pair."""
    scaling = Scaling(
        scale=np.ones_like(net.scaling.scale),
        offset=np.zeros_like(net.scaling.offset),
        rim_scale=np.ones_like(net.scaling.rim_scale),
        rim_offset=np.zeros_like(net.scaling.rim_offset),
    )
    pixels = aligned(2 * len(work.pixels), np.float32)
    return net._replace(scaling=scaling), work._replace(pixels=pixels)
