"""Refuse settings that this machine cannot run: devices and memory that it does not have.

Reading settings must work anywhere, so ``params`` does not ask: results are looked at on
machines without a GPU. The plan asks, because what it holds is to be run here.
"""

import os
from collections.abc import Iterator
from math import prod
from pathlib import Path

from pipeline.border.errors import UserError
from pipeline.config.settings import Settings, Task, build_network
from pipeline.core.models.layers import parameters

BYTES_PER_WEIGHT = 13
"""that every training holds at once: start, weights, gradient, and mask"""
_LIMIT = Path("/sys/fs/cgroup/memory.max")
"""the memory that a container or a job may use"""


class MachineError(UserError):
    """This machine cannot run the settings; one line that says what it lacks."""


def refuse_impossible(settings: Settings) -> None:
    """Refuse a device that is not there, and networks that fit in no memory.

    Raises:
        MachineError: with one line about the first of them.
    """
    for problem in _problems(settings):
        raise MachineError(f"params.yaml: {problem}")


def _problems(settings: Settings) -> Iterator[str]:
    for name, task in settings.tasks.items():
        where = f"tasks.{name}"
        if task.train.device == "cpu":
            yield from _memory(where, task, settings)
        else:
            yield from _device(f"{where}.train", task.train.device, task.train.processes)


def _device(where: str, device: str, processes: int) -> Iterator[str]:
    import torch  # a second, for those who name a device

    there = [f"cuda:{n}" for n in range(torch.cuda.device_count())]
    if not torch.cuda.is_available():
        there = []
    if not there:
        yield f"{where}.device: {device} found; torch finds no CUDA device here, write cpu"
    elif device not in (*there, "cuda"):
        yield f"{where}.device: {device} found; there is {', '.join(there)}"
    elif processes > len(there):
        yield f"{where}.processes: {processes} found; there is {', '.join(there)}"


def _memory(where: str, task: Task, settings: Settings) -> Iterator[str]:
    tensors = parameters(build_network(task)).values()
    num_weights = sum(prod(tensor.shape) for tensor in tensors)
    at_once = min(settings.workers or os.cpu_count() or 1, len(settings.seeds))
    one, has = num_weights * BYTES_PER_WEIGHT, memory_bytes()
    if one > has:
        yield (
            f"{where}.model: a training of its {num_weights:,} weights needs more than "
            f"{one / 1e9:,.0f} GB, and this machine has {has / 1e9:,.0f} GB; take a "
            "smaller network"
        )
    if at_once * one > has:
        yield (
            f"{where}.model: {at_once} trainings at once of its {num_weights:,} weights "
            f"need more than {at_once * one / 1e9:,.0f} GB, and this machine has "
            f"{has / 1e9:,.0f} GB; write workers: {has // one}, or take a smaller network"
        )


def memory_bytes() -> int:
    """The memory that this process may use in all."""
    import psutil

    total = int(psutil.virtual_memory().total)
    try:
        return min(total, int(_LIMIT.read_text(encoding="utf-8")))
    except (OSError, ValueError):  # no Linux, or no limit: "max"
        return total
