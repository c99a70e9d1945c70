"""The engine of the Southampton script: the dense engine with that script's departures.

``core/programs/southampton.py`` describes them. This engine is not meant to agree with the
reference; only ``compat: southampton`` chooses it. It lies in the dense engine's package
because it is built on that engine.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from pipeline.core.arrays import Weights
from pipeline.core.batches import Split
from pipeline.core.models.layers import Network
from pipeline.core.programs import southampton
from pipeline.core.training.engine import Evaluation, Job, State, only_job, refuse_frozen
from pipeline.engines.dense.engine import refuse_unfit
from pipeline.engines.dense.layered import Layered
from pipeline.engines.dense.layers import gradients

LARGEST_FROZEN = float(np.nextafter(southampton.FROZEN_BELOW, np.float32(0)))
"""largest number below ``FROZEN_BELOW``, because torch's kernel includes the bound"""


def make(jobs: Sequence[Job]) -> "Southampton":
    """Make the engine, ready to begin one job.

    Raises:
        ValueError: if there is more than one job, if the dense engine cannot train it, or
            if pruned weights are frozen: the script sets them to 0.
    """
    job = only_job(jobs, "southampton")
    refuse_unfit(job)
    refuse_frozen([job], "southampton")
    return Southampton(job)


class Southampton:
    """A dense engine that freezes weights and evaluates the test set as the script does.

    Round 0 trains at a learning rate of its own. The test loss is the mean over the images
    of full batches; the accuracy is the number of right answers among these images,
    divided by the number of all images.
    """

    def __init__(self, job: Job) -> None:
        test = job.data.test
        self._num_test = len(test)
        self._num_scored = southampton.num_scored(len(test), job.settings.batch_size)
        scored = Split(
            inputs=test.images[: self._num_scored], labels=test.labels[: self._num_scored]
        )
        settings = job.settings
        if job.round == 0:
            settings = replace(settings, lr=southampton.FIRST_LR)
        seen = replace(job, data=replace(job.data, test=scored), settings=settings)
        self._dense = Layered(seen, gradients=unfrozen_gradients)

    def advance(self, num_steps: int) -> None:
        """Run that many optimizer steps."""
        self._dense.advance(num_steps)

    def evaluate(self, split: str) -> list[Evaluation]:
        """Loss and accuracy on ``train``, ``validation`` or ``test``."""
        (found,) = self._dense.evaluate(split)
        if split == "test":
            num_correct = round(found.accuracy * self._num_scored)
            found = replace(found, accuracy=num_correct / self._num_test)
        return [found]

    def weights(self) -> list[Weights]:
        """Copies of the current weights."""
        return self._dense.weights()

    def state(self) -> State:
        """Weights and the optimizer's moments."""
        return self._dense.state()

    def restore(self, state: State, step: int) -> None:
        """Continue after ``step`` steps, counted from initialization."""
        self._dense.restore(state, step)


def unfrozen_gradients(
    network: Network, weights: dict[str, Tensor], images: Tensor, target: Tensor
) -> dict[str, Tensor]:
    """The gradients of a batch, 0 where a weight is below ``FROZEN_BELOW``.

    Arguments and result are those of ``layers.gradients``. Weight decay is added later.
    """
    found = gradients(network, weights, images, target)
    return {
        name: torch.ops.aten.threshold_backward(gradient, weights[name], LARGEST_FROZEN)
        if southampton.freezes(name)
        else gradient
        for name, gradient in found.items()
    }
