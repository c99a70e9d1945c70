"""Fully connected networks in the dense engine, compiled.

This file brings network, mask and data into the form that ``kernels.py`` computes with.

A step of LeNet-300-100 with batch 60 and Adam takes .83 ms; layer by layer in torch it
takes 1.7 ms, and the five products alone, by ``torch.mm``, take .75 ms (Intel Xeon with
AVX-512, one thread, another run beside it, 2026-11-21). ``python benchmarks/engines.py``
measures your machine.
"""

from collections.abc import Iterator, Sequence

import numpy as np

from pipeline.core.arrays import Floats, Integers, Mask, Weights
from pipeline.core.models.layers import Linear, Network, layers_of
from pipeline.core.training.engine import Evaluation, Job, State
from pipeline.engines.dense import kernels
from pipeline.engines.dense.kernels import UNITS
from pipeline.engines.dense.records import Bits, Layers, Net, Workspace
from pipeline.engines.shared.compiled import (
    aligned,
    augmented,
    flat,
    optimizer_numbers,
    refuse_unfit,
    tensor,
)
from pipeline.engines.shared.kernels import Rule
from pipeline.engines.shared.vectors import LANES, MAX_VECTORS, block_shape

SEEN = (0,) * MAX_VECTORS
"""shape of the block in which examples are evaluated: as wide as registers allow"""


class FullyConnected:
    """One network with all its weights, its optimizer state, and its data."""

    def __init__(self, job: Job) -> None:
        refuse_unfit(job, "dense")
        self._job = job
        self._step = job.first_step
        self._layers = _layers(job.network)
        self._names = [x.name for x in layers_of(job.network) if isinstance(x, Linear)]
        num_units = int(self._layers.outputs.sum())
        num_weights = int((self._layers.outputs * self._layers.strides).sum())
        self._net = Net(
            layers=self._layers,
            weights=tensor(np.zeros(num_weights, np.float32)),
            biases=tensor(np.zeros(num_units, np.float32)),
            kept=np.empty(num_weights // LANES, np.uint16),
            mean=np.array(job.data.images.mean, np.float32),
            std=np.array(job.data.images.std, np.float32),
        )
        for name, view in self._parameters("value"):
            view[...] = job.start[name]
        self._net.kept[...] = self._bits(job.mask)
        self._order = job.batch_order()
        self._shape = block_shape(job.settings.batch_size)
        self._work = _workspace(self._layers, LANES * len(self._shape))
        self._seen_work = _workspace(self._layers, LANES * len(SEEN))
        self._train = flat(job.data.train.images, job.data.train.labels)

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
        found = getattr(self._job.data, split)
        examples = flat(found.images, found.labels)
        num_examples = len(examples.labels)
        loss, correct = kernels.evaluate(
            self._net, examples, np.arange(num_examples), self._seen_work, SEEN
        )
        return [Evaluation(loss=loss / num_examples, accuracy=correct / num_examples)]

    def weights(self) -> list[Weights]:
        """Copies of the current weights."""
        return [{name: view.copy() for name, view in self._parameters("value")}]

    def state(self) -> State:
        """Weights and the optimizer's moments."""
        return {name: view.copy() for name, view in self._arrays()}

    def restore(self, state: State, step: int) -> None:
        """Continue after ``step`` steps, counted from initialization."""
        self._step = step
        for name, view in self._arrays():
            view[...] = state[name]

    def restrict(self, masks: Sequence[Mask]) -> None:
        """Go on under a smaller mask."""
        (mask,) = masks
        self._net.kept[...] = self._bits(mask)
        for part in ("value", "moment", "square"):
            for name, view in self._parameters(part):
                if name in mask:
                    view[~mask[name]] = 0

    def _parameters(self, part: str) -> Iterator[tuple[str, Floats]]:
        """Weights and biases, or their moments, by name, in the kernels' own layout."""
        weights, biases = getattr(self._net.weights, part), getattr(self._net.biases, part)
        for name, layer in zip(self._names, zip(*self._layers, strict=True), strict=True):
            inputs, outputs, stride, first, unit = layer
            rows = weights[first : first + outputs * stride].reshape(outputs, stride)
            yield f"{name}.weight", rows[:, :inputs]
            yield f"{name}.bias", biases[unit : unit + outputs]

    def _arrays(self) -> Iterator[tuple[str, Floats]]:
        """The arrays that a continuation needs; gradients are used up between steps."""
        settings = self._job.settings
        parts = {"weight": "value"}
        if settings.optimizer != "sgd":
            parts |= {"first": "moment", "second": "square"}
        elif settings.momentum:
            parts |= {"momentum": "moment"}
        for kind, part in parts.items():
            for name, view in self._parameters(part):
                yield f"{kind}/{name}", view

    def _bits(self, mask: Mask) -> Bits:
        """One bit per weight, set where it is kept; padding of the rows has no bit set."""
        kept = []
        for name, inputs, outputs, stride in zip(
            self._names, *self._layers[:3], strict=True
        ):
            rows = np.zeros((outputs, stride), np.bool_)
            rows[:, :inputs] = mask.get(f"{name}.weight", True)
            kept.append(rows.ravel())
        return np.packbits(np.concatenate(kept), bitorder="little").view(np.uint16)

    def _advance_augmented(self, order: Integers, rule: Rule) -> None:
        """Advance step by step, because no kernel can move and normalize images."""
        nothing = np.zeros_like(self._net.mean)
        net = self._net._replace(mean=nothing, std=nothing + np.float32(1))
        for images, labels, one, now in augmented(self._job, order, rule, self._step):
            kernels.train(net, flat(images, labels), one, now, self._work, self._shape)


def _layers(network: Network) -> Layers:
    layers = [layer for layer in layers_of(network) if isinstance(layer, Linear)]
    inputs = np.array([layer.inputs for layer in layers])
    outputs = np.array([layer.outputs for layer in layers])
    strides = -(-inputs // LANES) * LANES
    return Layers(
        inputs=inputs,
        outputs=outputs,
        strides=strides,
        first_weights=np.cumsum(outputs * strides) - outputs * strides,
        first_units=np.cumsum(outputs) - outputs,
    )


def _workspace(layers: Layers, width: int) -> Workspace:
    # Rows of units are read 16 at a time.
    num_units = int(layers.outputs.sum()) + LANES
    return Workspace(
        width=width,
        inputs=aligned(width * int(layers.strides[0]), np.float32),
        columns=aligned(int(layers.strides[0]) * width, np.float32),
        hidden=aligned(width * int(layers.strides[1:].max(initial=0)), np.float32),
        outputs=aligned(num_units * width, np.float32),
        gradients=aligned(num_units * width, np.float32),
        found=aligned(len(UNITS) * width, np.float32),
        shares=aligned(width, np.float32),
        peaks=aligned(width, np.float32),
        totals=aligned(width, np.float32),
    )
