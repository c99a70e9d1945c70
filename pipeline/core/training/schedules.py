"""The learning rate as a function of the step."""

import math
from collections.abc import Callable
from dataclasses import replace

from pipeline.core.starts import STARTS
from pipeline.core.training.settings import Schedule, TrainSettings


def learning_rate(settings: TrainSettings, step: int, total_steps: int) -> float:
    """The learning rate of one optimizer update.

    It depends on the step alone, so that a late start continues where the schedule was.
    During warm-up the rate is lr × step / warmup_steps, whatever the schedule; cosine
    then falls over the remaining steps; milestones count from step 0.

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


def at_last_rate(settings: TrainSettings, total_steps: int) -> TrainSettings:
    """The same training at the rate of its last step throughout: fine-tuning.

    Source: Renda et al. 2020, arXiv:2003.02389.
    """
    return replace(
        settings,
        lr=learning_rate(settings, total_steps - 1, total_steps),
        schedule=Schedule(name="constant", milestones=(), gamma=1.0, warmup_steps=0),
    )


def for_start(settings: TrainSettings, start: str, total_steps: int) -> TrainSettings:
    """The settings with which a round trains, which depend on its start.

    Args:
        settings: training settings of the task.
        start: one of STARTS; fine-tuning trains at the last rate of the schedule.
        total_steps: number of steps of the whole training.
    """
    if not STARTS[start].at_last_rate:
        return settings
    return at_last_rate(settings, total_steps)


def beyond_the_end(schedule: Schedule, total_steps: int) -> str:
    """Why a training has too few steps for a schedule; empty = it has enough."""
    warmup = schedule.warmup_steps
    if warmup >= total_steps:
        return (
            f"schedule.warmup_steps: {warmup} found; the training has {total_steps} steps, "
            "so that the rate never reaches lr; give fewer"
        )
    later = [step for step in schedule.milestones if step >= total_steps]
    if later:
        return (
            f"schedule.milestones: {later[0]} found; the training has {total_steps} steps "
            "and ends before it; give smaller ones, or leave it out"
        )
    return ""


def is_constant(settings: TrainSettings, first_step: int, total_steps: int) -> bool:
    """Whether the rate stays the same from ``first_step`` on; never so for cosine."""
    schedule = settings.schedule
    if schedule.name == "cosine" or first_step < schedule.warmup_steps:
        return False
    last = learning_rate(settings, total_steps - 1, total_steps)
    return learning_rate(settings, first_step, total_steps) == last


def _constant(schedule: Schedule, step: int, total_steps: int) -> float:  # noqa: ARG001
    return 1.0


def _milestones(schedule: Schedule, step: int, total_steps: int) -> float:  # noqa: ARG001
    """γ to the number of milestones reached; the update at a milestone has the new rate."""
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
