"""What is to come: trainings, stages, predicted time and disk.

Time comes from the trainings that were measured here (``artifacts/timing``); where a
task has none yet, from the multiply-adds of its network at a rate that is typical of one
core. It is a forecast, good to a factor of two.
"""

import math
from dataclasses import dataclass
from statistics import median

from pipeline import artifacts, plan, workers
from pipeline.artifacts import Instance
from pipeline.core.models.layers import (
    BatchNorm,
    Conv,
    Linear,
    MaxPool,
    Network,
    Residual,
    parameters,
)
from pipeline.dataset_facts import FACTS
from pipeline.params import Settings, build_network

MULTIPLY_ADDS_PER_S = 4e10
"""dense training on one core, backward passes included; measured 3–6e10"""
STEP_OVERHEAD_S = 4e-4
"""of a plain eager step, whatever the network"""
STAGE_OVERHEAD_S = 3.0
"""of a training stage: process, imports, data, files"""
BYTES_PER_WEIGHT = 2 * (4 + 4 + 1 + 1)
"""start, trained, two masks; once in the workspace and once in DVC's cache"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Forecast:
    """What a plan asks for and how much of it is still to do."""

    num_stages: int
    num_trainings: int
    num_missing: int
    seconds: float
    num_bytes: float


def forecast(settings: Settings, current: plan.Plan) -> Forecast:
    """Count what the plan asks for and what of it has no result yet."""
    groups = plan.groups_in(current)
    all_instances = list(plan.instances(settings, groups))
    missing = [i for i in all_instances if not artifacts.results_folder(i).exists()]
    at_once = settings.workers or workers.available_cores()
    seconds = 0.0
    for instance in missing:
        waves = math.ceil(len(instance.seeds) / at_once)
        seconds += STAGE_OVERHEAD_S + waves * _seconds(settings, instance)
    num_bytes = sum(
        len(i.seeds) * _num_weights(settings, i.task) * BYTES_PER_WEIGHT for i in missing
    )
    return Forecast(
        num_stages=3 + sum(len(items) for items in current.values()),
        num_trainings=sum(len(i.seeds) for i in all_instances),
        num_missing=sum(len(i.seeds) for i in missing),
        seconds=seconds,
        num_bytes=num_bytes,
    )


def describe(settings: Settings, current: plan.Plan) -> str:
    """The forecast in one line."""
    found = forecast(settings, current)
    text = f"plan: {found.num_stages} stages, {found.num_trainings} trainings"
    if not found.num_missing:
        return f"{text}; all of them have results"
    return (
        f"{text}; {found.num_missing} have no result yet: about "
        f"{_duration(found.seconds)} and {found.num_bytes / 1e6:,.0f} MB if none is in "
        "DVC's cache"
    )


def multiply_adds(network: Network, image_shape: tuple[int, int, int]) -> int:
    """Multiply-adds of one image through all kernels, forward."""
    return _walk(network, image_shape[1], image_shape[2])[0]


def _walk(network: Network, height: int, width: int) -> tuple[int, int, int]:
    total = 0
    for layer in network:
        match layer:
            case Linear():
                total += layer.inputs * layer.outputs
            case Conv():
                height, width = -(-height // layer.stride), -(-width // layer.stride)
                area = height * width
                total += layer.inputs * layer.outputs * layer.kernel**2 * area
            case MaxPool():
                height, width = height // 2, width // 2
            case Residual():
                shortcut, _, _ = _walk(layer.shortcut, height, width)
                body, height, width = _walk(layer.body, height, width)
                total += body + shortcut
            case BatchNorm():
                pass
            case _:
                pass
    return total, height, width


def _seconds(settings: Settings, instance: Instance) -> float:
    """One training of that task on one core."""
    task = settings.tasks[instance.task]
    num_steps = task.train.total_steps(FACTS[task.data].num_train)
    rates = _measured(instance.task)
    if rates:
        return num_steps / median(rates)
    work = multiply_adds(build_network(task), FACTS[task.data].image_shape)
    per_step = 3 * work * task.train.batch_size / MULTIPLY_ADDS_PER_S
    return num_steps * (per_step + STEP_OVERHEAD_S)


def _measured(task: str) -> list[float]:
    """Steps per second of the trainings of a task that were done here."""
    base = artifacts.FOLDER / "timing" / task
    files = sorted(base.glob("*/*/*.json")) if base.exists() else []
    return [
        one["steps_per_s"]
        for path in files
        for one in artifacts.load_json(path)["seeds"].values()
    ]


def _num_weights(settings: Settings, task: str) -> int:
    tensors = parameters(build_network(settings.tasks[task]))
    return sum(math.prod(tensor.shape) for tensor in tensors.values())


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 5400:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"
