"""The engine for control tasks: the reference engine, with a loss of episodes it plays.

A step plays a batch of episodes to their ends, with actions drawn by the network's
probabilities, and follows the policy gradient once (REINFORCE, Williams 1992): the mean
over all steps of -log(probability of the action) × advantage. No episode goes on from one
step to the next, so that weights and optimizer are all there is to continue from.

Deviation from Yu et al. 2019 (arXiv:1906.02768), who train A2C with a network for values:
the other episodes of the batch are the baseline.
"""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from pipeline.core import control, seeding
from pipeline.core.analysis.evaluation import of_episodes
from pipeline.core.arrays import Floats
from pipeline.core.description import Actions
from pipeline.core.losses import in_precision
from pipeline.core.models.forward import forward
from pipeline.core.training.engine import Evaluation, Job, only_job
from pipeline.engines.reference.engine import Reference, chance


def make(jobs: Sequence[Job]) -> "Control":
    """Make the engine for control tasks, ready to begin one job.

    Raises:
        ValueError: if there is more than one job.
    """
    return Control(only_job(jobs, "control"))


class Control(Reference):
    """One network, its optimizer, and the environment in which it acts."""

    def __init__(self, job: Job) -> None:
        super().__init__(job)
        actions = job.data.description.labels
        assert isinstance(actions, Actions), "the plan chose this engine for its data"
        self._actions = actions
        self._environment = control.Environment(actions.environment)

    def evaluate(self, split: str) -> list[Evaluation]:
        """The mean return of the split's episodes, with the likeliest actions."""
        self._act()
        seeds = getattr(self._job.data, split).labels
        return [of_episodes(self._environment, seeds, self._seen, self._actions)]

    def _seen(self, observations: Floats) -> Tensor:
        """The logits of actions."""
        inputs = torch.from_numpy(observations)
        with torch.no_grad():
            return forward(self._job.network, self._weights, inputs, training=False)

    def _backward(self, inputs: Tensor, labels: Tensor) -> None:  # noqa: ARG002 - first of many
        """Leave the policy gradient of a batch of episodes."""
        job = self._job
        copy = f"{job.copy}/step={self._step}"
        rng = seeding.generator(job.seed, "actions", round=job.round, copy=copy)
        moments = self._environment.play(
            labels.numpy(), lambda seen: control.sampled(self._seen(seen), rng)
        )
        seen, actions, weights = (
            torch.from_numpy(np.concatenate(arrays))
            for arrays in (
                [moment.observations for moment in moments],
                [moment.actions for moment in moments],
                control.advantages(moments),
            )
        )
        with chance(job, self._step):
            logits = forward(job.network, self._weights, seen, training=True)
        logits = in_precision(logits, job.settings.loss_precision)
        losses = functional.cross_entropy(logits, actions, reduction="none")
        (losses * weights).mean().backward()
