"""Engines train networks. This module lists them and chooses one for each training.

Each engine has one record of what it can do, so the plan can choose without importing
torch. An engine's module is imported when the engine is made.
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
    normed_convolutional,
    plain_convolutional,
    stackable,
    without_norm,
)

AUTO = "auto"
"""the value of ``train.engine`` that leaves the choice to ``resolve``"""
CPU = frozenset({"cpu"})
CUDA = frozenset({"cuda"})


@dataclass(frozen=True, kw_only=True, slots=True)
class Forecast:
    """How fast an engine is expected to be. It decides no result."""

    compiled_rate: float | None = None
    """multiply-adds per second of its compiled kernels on one core, backward passes
    included; None where they are as fast as torch layer by layer"""
    work_left: Callable[[float], float] = lambda _: 1.0
    """the share of a dense step's work that is left at a density. Pruning keeps more of
    convolutions than of other layers, and convolutions make most of the work"""
    seconds_per_example: float | None = None
    """where an example takes far longer than its multiply-adds, as an episode does"""


@dataclass(frozen=True, kw_only=True, slots=True)
class EngineRecord(Entry):
    """Where an engine is defined, what it can train, and when ``auto`` prefers it."""

    trains: Callable[[Network], bool]
    """tells whether it can train a network"""
    devices: frozenset[str]
    """the devices on which it runs, without their numbers"""
    abilities: frozenset[Ability] = frozenset()
    several_jobs: bool = False
    """whether it trains several jobs as one stacked computation; the others take one"""
    program: bool = False
    """whether it trains as a published program did, not as the reference does: a task's
    ``compat`` can name it, ``train.engine`` cannot"""
    preferred_on: frozenset[str] = frozenset()
    """the devices on which ``auto`` takes it"""
    preferred_up_to: float = 1.0
    """the largest density at which ``auto`` takes it"""
    compiles: Callable[[Network], bool] = no_network
    """tells whether it trains a network by compiled kernels of its own, without torch"""
    forecast: Forecast = Forecast()
    """of its speed; an edit of it makes no result stale"""


ENGINES = Registry(
    "engine",
    __name__,
    {
        "reference": EngineRecord(
            module="reference",
            trains=any_network,
            devices=CPU | CUDA,
            abilities=frozenset(Ability) - {Ability.SHARE_BATCHES, Ability.ACT},
            preferred_on=CPU | CUDA,
        ),
        "dense": EngineRecord(
            module="dense",
            trains=without_norm,
            devices=CPU,
            abilities=frozenset({Ability.FREEZE, Ability.CHANGE_MASK}),
            preferred_on=CPU,
            compiles=fully_connected,
            forecast=Forecast(compiled_rate=6e10),
        ),
        "sparse": EngineRecord(
            module="sparse",
            trains=fully_connected,
            devices=CPU,
            abilities=frozenset({Ability.REGROW}),
            preferred_on=CPU,
            # At this density a dense step of LeNet-300-100 takes 0.83 ms and a sparse one
            # 0.89; evaluation makes up for it (Intel Xeon with AVX-512, one thread).
            preferred_up_to=0.7,
            compiles=fully_connected,
            forecast=Forecast(compiled_rate=4e10, work_left=lambda density: density),
        ),
        "sparse-conv": EngineRecord(
            module="sparse_conv",
            trains=plain_convolutional,
            devices=CPU,
            preferred_on=CPU,
            # With the papers' masks, which keep more of convolutions, it is as fast as
            # the dense engine at density .5, and 1.2 to 1.5 times as fast at .3.
            preferred_up_to=0.4,
            compiles=plain_convolutional,
            forecast=Forecast(work_left=math.sqrt),
        ),
        "sparse-norm": EngineRecord(
            module="sparse_conv.normed",
            trains=normed_convolutional,
            devices=CPU,
            compiles=normed_convolutional,
            forecast=Forecast(work_left=math.sqrt),
        ),
        "batched": EngineRecord(
            module="batched",
            trains=stackable,
            devices=CPU | CUDA,
            abilities=frozenset(
                {
                    Ability.READ_VECTORS,
                    Ability.READ_TOKENS,
                    Ability.OTHER_BETAS,
                    Ability.DOUBLE_LOSS,
                }
            ),
            several_jobs=True,
            preferred_on=CUDA,
        ),
        "data-parallel": EngineRecord(
            module="reference.data_parallel",
            trains=any_network,
            devices=CPU | CUDA,
            abilities=frozenset(Ability)
            - {
                Ability.REGROW,
                Ability.TRAIN_SCORES,
                Ability.ACT,
                Ability.MIX_NORMS,
            },
            preferred_on=CPU | CUDA,
        ),
        "control": EngineRecord(
            module="reference.control",
            trains=any_network,
            devices=CPU,
            abilities=frozenset(Ability)
            - {
                Ability.OTHER_AUGMENTATION,
                Ability.SHARE_BATCHES,
                Ability.REGROW,
                Ability.MIX_NORMS,
            },
            preferred_on=CPU,
            # An episode of CartPole has 500 steps once the network has learned.
            forecast=Forecast(seconds_per_example=0.007),
        ),
        "southampton": EngineRecord(
            module="dense.southampton", trains=without_norm, devices=CPU, program=True
        ),
    },
    offers="make",
)
"""The engines by name, the plainest first: ``auto`` takes the last one that fits. Each
module's ``make`` takes the jobs of ``make_engine``. Rates were measured on an Intel Xeon
(AVX-512) at its slowest, both cores busy, 2026-11-21."""

CHOICES = (AUTO, *(name for name, record in ENGINES.items() if not record.program))
"""the values that ``train.engine`` may have"""


def make_engine(name: str, jobs: Sequence[Job]) -> Engine:
    """Make the named engine, ready to begin these jobs, with one lane for each job.

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
    """Choose the engine for a network: the fastest that gives the reference's results.

    Args:
        setting: ``auto``, or the name of an engine.
        network: the layers of the network.
        density: fraction of the prunable weights kept, (0, 1]; where the mask changes,
            the largest.
        device: the value of ``train.device``.
        needs: abilities that the training needs.

    Returns:
        A name in ENGINES; a program's engine only if the setting names it.

    Raises:
        ValueError: if there is no such engine, or it cannot train this network there.
    """
    possible = [name for name, record in ENGINES.items() if not record.program]

    def fits(name: str) -> bool:
        return _refusal(ENGINES[name], network, device, needs) is None

    if setting != AUTO:
        refusal = _refusal(ENGINES[setting], network, device, needs)
        if refusal:
            others = ", ".join(name for name in possible if fits(name))
            instead = f", or one of {others}" if others else ""
            raise ValueError(f"engine {setting} {refusal}; give {AUTO}{instead}")
        return setting
    # Preferences first: whether torch can stack a module takes a trial.
    preferred = [n for n in possible if _is_preferred(ENGINES[n], density, device)]
    for name in reversed(preferred):
        if fits(name):
            return name
    if len(needs) > 1:
        asked = " and ".join(need.value for need in Ability if need in needs)
        raise ValueError(f"no engine can {asked} on {device}; leave one of these out")
    raise ValueError(f"no engine can train this network on {device}; name another")


def _refusal(
    record: EngineRecord, network: Network, device: str, needs: Collection[Ability]
) -> str | None:
    """The first thing asked for that an engine cannot do; None if it can do everything."""
    for need in Ability:
        if need in needs and need not in record.abilities:
            return f"cannot {need.value}"
    if Ability.SHARE_BATCHES in record.abilities - set(needs):
        return "shares batches among processes, and train.processes is 1"
    if Ability.ACT in record.abilities - set(needs):
        return "acts in environments, and the data have labeled examples"
    if _kind(device) not in record.devices:
        return f"works on {' and '.join(sorted(record.devices))}, not on {device}"
    return None if record.trains(network) else "cannot train this network"


def _is_preferred(record: EngineRecord, density: float, device: str) -> bool:
    return density <= record.preferred_up_to and _kind(device) in record.preferred_on


def _kind(device: str) -> str:
    return device.partition(":")[0]
