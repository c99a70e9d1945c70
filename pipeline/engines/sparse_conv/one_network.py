"""Run steps and evaluations of one network in compiled kernels, and keep its state."""

from collections.abc import Callable
from typing import Any

import numpy as np

from pipeline.core.arrays import Floats
from pipeline.core.training.engine import Evaluation, Job, State
from pipeline.engines.shared.compiled import flat, optimizer_numbers
from pipeline.engines.shared.kernels import Rule
from pipeline.engines.sparse_conv.orders import ordered, unmoved

OPTIMIZED = ("value", "moment", "square")
"""of weights and biases, what a continuation needs; gradients are 0 between steps"""


class OneNetwork:
    """One network without its pruned weights, its optimizer state, and its data."""

    _train: Callable[..., None]
    """kernel: runs steps"""
    _evaluate: Callable[..., tuple[float, int]]
    """kernel: sums cross-entropies, and counts right answers"""
    _net: Any
    """the network, as these kernels take it; it has ``weights`` and ``biases``"""
    _work: Any
    """their memory"""

    def __init__(self, job: Job) -> None:
        """Nothing has been run; whoever inherits it makes network and memory."""
        self._job = job
        self._step = job.first_step
        self._order = job.batch_order()

    def advance(self, num_steps: int) -> None:
        """Run that many optimizer steps."""
        self._train(
            self._net,
            flat(self._job.data.train.images, self._job.data.train.labels),
            ordered(self._job, self._order, self._step, num_steps),
            Rule(*optimizer_numbers(self._job, self._step, num_steps)),
            self._work,
        )
        self._step += num_steps

    def evaluate(self, split: str) -> list[Evaluation]:
        """Loss and accuracy on ``train``, ``validation`` or ``test``."""
        found = getattr(self._job.data, split)
        examples = flat(found.images, found.labels)
        num_examples = len(examples.labels)
        order = unmoved(np.arange(num_examples)[np.newaxis])
        loss, correct = self._evaluate(self._net, examples, order, self._work)
        return [Evaluation(loss=loss / num_examples, accuracy=correct / num_examples)]

    def state(self) -> State:
        """Values and moments of kept weights and biases, and what else is trained."""
        return {name: array.copy() for name, array in self._arrays().items()}

    def restore(self, state: State, step: int) -> None:
        """Continue after ``step`` steps, counted from initialization."""
        self._step = step
        for name, array in self._arrays().items():
            array[:] = state[name]

    def _arrays(self) -> dict[str, Floats]:
        """The arrays that a continuation needs."""
        return {
            f"{kind}/{part}": getattr(getattr(self._net, kind), part)
            for kind in ("weights", "biases")
            for part in OPTIMIZED
        }
