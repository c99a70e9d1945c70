"""Engines: how to train a network fast, and the one rule that chooses among them.

An engine is one record of what it can do, so that the plan chooses without importing
torch; its module is imported when it is made.
"""

import math
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

from pipeline.core.models.layers import Network
from pipeline.core.registry import Entry, Registry
from pipeline.core.training.engine import Ability, Engine, Job
from pipeline.engines.suitability import (
    any_network,
    fully_connected,
    no_network,
    plain_convolutional,
    without_norm,
)

AUTO = "auto"
"""the value of ``train.engine`` that leaves the choice to ``resolve``"""
CPU = frozenset({"cpu"})
CUDA = frozenset({"cuda"})


@dataclass(frozen=True, kw_only=True, slots=True)
class EngineRecord(Entry):
    """Where an engine is defined, what it can train, and when it is the one to take."""

    trains: Callable[[Network], bool]
    """which networks it can train"""
    devices: frozenset[str]
    """on which devices, without their numbers"""
    abilities: frozenset[Ability] = frozenset()
    several_jobs: bool = False
    """whether it trains several jobs as one stacked computation; the others take one"""
    program: bool = False
    """whether it trains as somebody's program did, not as the reference: a task's
    ``compat`` names it, ``train.engine`` cannot"""
    preferred_on: frozenset[str] = frozenset()
    """devices on which ``auto`` takes it"""
    preferred_up_to: float = 1.0
    """density from which on downwards ``auto`` takes it"""
    compiles: Callable[[Network], bool] = no_network
    """which networks it trains by compiled kernels of its own, without torch"""
    optimizer_objects: bool = False
    """whether it updates weights by torch's optimizer objects, slow to import"""
    compiled_rate: float | None = None
    """multiply-adds per second with compiled kernels, backward passes included, on one
    core; None where they are as fast as torch layer by layer"""
    work_left: Callable[[float], float] = lambda _: 1.0
    """of dense work, at a density; pruning keeps more of convolutions than of the rest,
    and most of the work is theirs"""


ENGINES = Registry(
    "engine",
    __name__,
    {
        "reference": EngineRecord(
            module="reference",
            trains=any_network,
            devices=CPU | CUDA,
            abilities=frozenset(Ability),
            preferred_on=CPU | CUDA,
            optimizer_objects=True,
        ),
        "dense": EngineRecord(
            module="dense",
            trains=without_norm,
            devices=CPU,
            abilities=frozenset({Ability.FREEZE, Ability.CHANGE_MASK}),
            preferred_on=CPU,
            compiles=fully_connected,
            compiled_rate=6e10,
        ),
        "sparse": EngineRecord(
            module="sparse",
            trains=fully_connected,
            devices=CPU,
            preferred_on=CPU,
            # There a dense step of LeNet-300-100 takes 0.83 ms and a sparse one 0.89,
            # evaluation evens it out (Intel Xeon with AVX-512, one thread).
            preferred_up_to=0.7,
            compiles=fully_connected,
            compiled_rate=4e10,
            work_left=lambda density: density,
        ),
        "sparse-conv": EngineRecord(
            module="sparse_conv",
            trains=plain_convolutional,
            devices=CPU,
            preferred_on=CPU,
            # With the masks of the papers, which keep more of convolutions, it is even
            # with the dense engine at .5, and 1.2 to 1.5 times as fast at .3.
            preferred_up_to=0.4,
            compiles=plain_convolutional,
            work_left=math.sqrt,
        ),
        "batched": EngineRecord(
            module="batched",
            trains=any_network,
            devices=CPU | CUDA,
            several_jobs=True,
            preferred_on=CUDA,
        ),
        "southampton": EngineRecord(
            module="dense.southampton", trains=without_norm, devices=CPU, program=True
        ),
    },
    offers="make",
)
"""By name, the plainest first: of those that fit, ``auto`` takes the last. The ``make`` of
each module has the arguments of ``make_engine``. Rates were measured on an Intel Xeon
(AVX-512) at its slowest, both cores busy, 2026-11-21."""

CHOICES = (AUTO, *(name for name, record in ENGINES.items() if not record.program))
"""what ``train.engine`` may be"""


def make_engine(name: str, jobs: Sequence[Job]) -> Engine:
    """The named engine at the start of these jobs, one lane each.

    Raises:
        ValueError: if there is no such engine, or it cannot train these jobs.
    """
    engine: Engine = ENGINES.load(name)(jobs)
    return engine


def resolve(
    setting: str,
    network: Network,
    density: float,
    device: str,
    needs: Collection[Ability] = (),
) -> str:
    """Which engine trains a network: the fastest that was shown to give equal results.

    Args:
        setting: ``auto``, or the name of an engine.
        network: its layers.
        density: fraction of the prunable weights kept, (0, 1]; the largest, where the
            mask changes.
        device: ``train.device``.
        needs: what the training asks of the engine.

    Returns:
        A name in ENGINES, a program's only where it is the setting.

    Raises:
        ValueError: if there is no such engine, or it cannot train this network there.
    """
    fit = [
        name
        for name, record in ENGINES.items()
        if not record.program and _refusal(record, network, device, needs) is None
    ]
    if setting != AUTO:
        refusal = _refusal(ENGINES[setting], network, device, needs)
        if refusal:
            instead = f", or one of {', '.join(fit)}" if fit else ""
            raise ValueError(f"engine {setting} {refusal}; give {AUTO}{instead}")
        return setting
    preferred = [name for name in fit if _is_preferred(ENGINES[name], density, device)]
    if not preferred:
        raise ValueError(f"no engine can train this network on {device}; name another")
    return preferred[-1]


def _refusal(
    record: EngineRecord, network: Network, device: str, needs: Collection[Ability]
) -> str | None:
    """What an engine cannot do of what is asked; None if it can do all of it."""
    for need in Ability:
        if need in needs and need not in record.abilities:
            return f"cannot {need.value}"
    if _kind(device) not in record.devices:
        return f"works on {' and '.join(sorted(record.devices))}, not on {device}"
    return None if record.trains(network) else "cannot train this network"


def _is_preferred(record: EngineRecord, density: float, device: str) -> bool:
    return density <= record.preferred_up_to and _kind(device) in record.preferred_on


def _kind(device: str) -> str:
    return device.partition(":")[0]
