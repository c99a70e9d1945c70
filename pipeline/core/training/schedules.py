"""The learning rate as a function of the step."""

import math
from collections.abc import Callable

from pipeline.core.training.settings import Schedule, TrainSettings


def learning_rate(settings: TrainSettings, step: int, total_steps: int) -> float:
    """The rate of one optimizer update.

    A pure function of the step, so that a late start continues where the schedule was.
    During warm-up the rate is lr × step / warmup_steps, whatever the schedule; cosine
    then falls over the steps that are left, milestones count from step 0.

    Args:
        settings: only lr and schedule are read.
        step: updates done before this one, [0, total_steps).
        total_steps: updates of the whole training, counted from initialization.

    Returns:
        The rate; 0 at step 0 of a warm-up.
    """
    schedule = settings.schedule
    if step < schedule.warmup_steps:
        return settings.lr * step / schedule.warmup_steps
    return settings.lr * _FACTORS[schedule.name](schedule, step, total_steps)


def _constant(schedule: Schedule, step: int, total_steps: int) -> float:  # noqa: ARG001
    return 1.0


def _milestones(schedule: Schedule, step: int, total_steps: int) -> float:  # noqa: ARG001
    """γ to the number of milestones reached: the update at one has the new rate."""
    passed = sum(milestone <= step for milestone in schedule.milestones)
    return math.prod([schedule.gamma] * passed)


def _cosine(schedule: Schedule, step: int, total_steps: int) -> float:
    """Half a cosine, from 1 after the warm-up to 0 at ``total_steps``.

    Source: Loshchilov & Hutter 2017, arXiv:1608.03983, eq. 5, without restarts.
    """
    done = (step - schedule.warmup_steps) / (total_steps - schedule.warmup_steps)
    return 0.5 * (1.0 + math.cos(math.pi * done))


_FACTORS: dict[str, Callable[[Schedule, int, int], float]] = {
    "constant": _constant,
    "milestones": _milestones,
    "cosine": _cosine,
}
