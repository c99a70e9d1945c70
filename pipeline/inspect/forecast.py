"""Forecast an experiment: trainings, approximations, stages, and their time and disk.

The time is based on trainings measured on this machine (``artifacts/timing``). If a task
has none yet, it is based on the multiply-adds of its network at a typical rate of one core.
The forecast is good to a factor of two.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from statistics import median

from pipeline.artifacts import files, paths
from pipeline.config.settings import Settings, Task, build_network, total_steps
from pipeline.core.constructions import CONSTRUCTIONS
from pipeline.core.description import Description
from pipeline.core.models import MODELS
from pipeline.core.models.layers import Network, parameters
from pipeline.core.models.totals import multiply_adds, positions
from pipeline.engines import ENGINES
from pipeline.engines.suitability import without_norm
from pipeline.plan import trained
from pipeline.plan.current import Standing
from pipeline.plan.items import Item, Plan, items_of
from pipeline.plan.kinds import Trains
from pipeline.run.executors import cores

SAID = "LT_FORECAST_SAID"
"""the environment variable by which ``lt-pipeline run`` tells the stage ``plan`` not to say
the forecast again: everything may be trained by then"""
MULTIPLY_ADDS_PER_S = 5e10
"""rate of a training layer by layer on one core, backward passes included"""
WITH_NORM = 2.2e10
"""the same rate for networks that normalize batches"""
FULL_CHANNELS = 64
"""channels from which a convolution has the first rate; with fewer, its rate is in
proportion to them (steps of ``cnn`` with 8 to 128 channels, 2026-11-28)"""
STEP_OVERHEAD_S = 4e-4
"""fixed time of every step that is not compiled, for any network. These three were measured
on an Intel Xeon (AVX-512) at its slowest, both cores busy, 2026-11-21; at its best it takes
two thirds of the time. The engines' records have the rates of compiled steps"""
STAGE_OVERHEAD_S = 4.0
"""fixed time of a training stage and the stages before it: processes, imports, data, files,
DVC"""
TRACKING_S = 0.15
"""time that the stage ``track`` takes for one training"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Forecast:
    """The amount of work in a plan, and how much of it is still to do."""

    num_stages: int
    num_trainings: int
    num_missing: int
    num_stale: int
    """trainings whose result is there, and is of other settings or code"""
    num_sought: int
    """networks that are still to be found in random ones"""
    seconds: float
    num_bytes: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Load:
    """The trainings of one stage instance."""

    task: str
    num: int
    engine: str
    density: float
    share: float
    """the part of a whole training's steps that each training takes"""
    bytes_per_weight: int
    state: str
    """done, stale, or missing"""


def forecast(
    settings: Settings, current: Plan, found: Standing, *, measured: bool = True
) -> Forecast:
    """Count the work in a plan, and the part that has no result yet or a stale one.

    Args:
        settings: of the experiment.
        current: its plan.
        found: of its results.
        measured: whether trainings that were done on this machine tell the time.
    """
    loads = list(_loads(settings, current, found))
    missing = [load for load in loads if load.state != "done"]
    at_once = settings.workers or cores.available_cores()
    seconds = TRACKING_S * sum(load.num for load in missing)
    for load in missing:
        waves = math.ceil(load.num / at_once)
        rates = _measured(load.task) if measured else []
        seconds += STAGE_OVERHEAD_S + waves * load.share * _seconds(settings, load, rates)
    sought = [
        item
        for item in items_of(current, "approximations")
        if found.state(item.stage) != "done"
    ]
    seconds += sum(_search_seconds(settings, item, at_once) for item in sought)
    seconds += sum(
        _pool_seconds(settings, item, at_once)
        for item in items_of(current, "pooled")
        if found.state(item.stage) != "done"
    )
    return Forecast(
        num_stages=3 + sum(len(items) for items in current.values()),
        num_trainings=sum(load.num for load in loads),
        num_missing=sum(load.num for load in missing if load.state == "missing"),
        num_stale=sum(load.num for load in missing if load.state == "stale"),
        num_sought=sum(len(item.seeds) for item in sought),
        seconds=seconds,
        num_bytes=sum(
            load.num * _num_weights(settings, load.task) * load.bytes_per_weight
            for load in missing
        ),
    )


def of_preset(settings: Settings, current: Plan) -> str:
    """The time that a whole experiment takes on two cores of a typical machine."""
    everything = Standing(
        stale=frozenset(),
        missing=frozenset(item.stage for item in items_of(current)),
        reasons=(),
        recorded={},
    )
    on_two = replace(settings, workers=2)
    return _duration(forecast(on_two, current, everything, measured=False).seconds)


def describe(settings: Settings, current: Plan, standing: Standing) -> str:
    """The forecast in one line."""
    found = forecast(settings, current, standing)
    text = f"plan: {found.num_stages} stages, {found.num_trainings} trainings"
    lacking = []
    if found.num_stale:
        lacking.append(f"{found.num_stale} are stale ({standing.why()})")
    if found.num_missing:
        lacking.append(f"{found.num_missing} have no result yet")
    if found.num_sought:
        networks = "network is" if found.num_sought == 1 else "networks are"
        lacking.append(f"{found.num_sought} {networks} sought in random ones")
    if not lacking:
        return f"{text}; all of them have current results"
    return (
        f"{text}; {', '.join(lacking)}: about "
        f"{_duration(found.seconds)} and {found.num_bytes / 1e6:,.0f} MB if none is in "
        "DVC's cache"
    )


def _search_seconds(settings: Settings, item: Item, at_once: int) -> float:
    """The seconds that a stage takes which seeks trained networks in random ones."""
    asked = settings.approximations[item["approximation"]]
    per_weight = CONSTRUCTIONS[asked.construction].forecast(asked.candidates)
    waves = math.ceil(len(item.seeds) / at_once)
    weights = _num_weights(settings, item["task"])
    return STAGE_OVERHEAD_S + waves * weights * per_weight


def _pool_seconds(settings: Settings, item: Item, at_once: int) -> float:
    """The seconds that a stage takes which mixes networks of several rounds."""
    task, how = settings.tasks[item["task"]], settings.variants[item["variant"]].prune.pool
    assert how is not None, "its networks are pooled"
    waves = math.ceil(len(item.seeds) / at_once)
    others = item.number("round") if how.of_dense else settings.rounds
    seen = (how.recalibration_batches or 0) * task.train.batch_size
    seen += task.dataset.num_validation
    network = build_network(task)
    work = seen * _work(task)
    rate = MULTIPLY_ADDS_PER_S if without_norm(network) else WITH_NORM
    return STAGE_OVERHEAD_S + waves * others * len(how.shares) * work / rate


def _loads(settings: Settings, current: Plan, found: Standing) -> Iterator[Load]:
    items = {item.stage: item for item in items_of(current)}
    for stage, one in trained.by_stage(settings, current).items():
        item = items[stage]
        trains = item.kind.trains
        assert trains is not None, "trained by a stage that trains"
        yield Load(
            task=item["task"],
            num=one.number,
            engine=item["engine"],
            density=one.density,
            share=_share(settings, item, trains, one.variant),
            bytes_per_weight=trains.bytes_per_weight,
            state=found.state(stage),
        )


def _share(settings: Settings, item: Item, trains: Trains, variant: str) -> float:
    """The part of a whole training's steps that an instance trains."""
    total = total_steps(settings.tasks[item["task"]])
    last = item.number("step") if trains.ends_at_step else total
    if trains.begins_at_step:
        first = item.number("step")
    else:
        recipe = settings.variants.get(variant)
        if recipe and recipe.rewind.last_step is not None:
            return 0.0
        first = recipe.rewind.first_step if recipe else 0
    return (last - first) / total


def _seconds(settings: Settings, load: Load, rates: Sequence[float]) -> float:
    """The seconds that one whole training of this load takes on one core.

    Args:
        settings: of the experiment.
        load: what is trained.
        rates: measured ones of its task, in steps per second.
    """
    task = settings.tasks[load.task]
    num_steps = total_steps(task)
    if rates:
        return num_steps / median(rates)
    network = build_network(task)
    work = _work(task)
    # The test set is evaluated where the validation loss improves: at half of the points.
    facts = task.dataset
    looks = num_steps // task.train.evaluate_every + 1
    looks += int((task.train.evaluations_per_decade or 0) * math.log10(num_steps))
    tested = facts.num_test if task.train.test_cadence == "every" else facts.num_test // 2
    fitted = facts.num_train if task.train.evaluate_train else 0
    looked_at = facts.num_validation + tested + fitted
    engine = ENGINES[load.engine]
    if engine.forecast.seconds_per_example:
        played = task.train.batch_size * num_steps + looks * looked_at
        return played * engine.forecast.seconds_per_example
    seen: float = 3 * task.train.batch_size * num_steps + looks * looked_at
    seen *= engine.forecast.work_left(load.density)
    if engine.forecast.compiled_rate and engine.compiles(network):
        return seen * work / engine.forecast.compiled_rate
    if without_norm(network):
        slower = _work_of_few_channels(network, task.dataset.description)
        rate, work = MULTIPLY_ADDS_PER_S, work + slower
    else:
        rate = WITH_NORM
    return seen * work / rate + num_steps * STEP_OVERHEAD_S


def _work(task: Task) -> float:
    """The multiply-adds of one example's forward pass, as far as they take time."""
    share = MODELS[task.model.name].time_share if task.model.name in MODELS else 1.0
    return share * multiply_adds(build_network(task), task.dataset.description, {})


def _work_of_few_channels(network: Network, data: Description) -> float:
    """The multiply-adds whose time narrow convolutions take beyond that of their own."""
    places = positions(network, data)
    return sum(
        places[name] * math.prod(kernel.shape) * (FULL_CHANNELS / kernel.shape[0] - 1)
        for name, kernel in parameters(network).items()
        if kernel.kind == "conv" and kernel.shape[0] < FULL_CHANNELS
    )


def _measured(task: str) -> list[float]:
    """Steps per second of a task's trainings that were done on this machine."""
    base = paths.FOLDER / "timing" / task
    timings = sorted(base.glob("*/*/*.json")) if base.exists() else []
    rates: list[float] = []
    for path in timings:
        with files.understood(path):
            seeds = files.load_json(path)["seeds"].values()
            # A round that trains no step has no rate.
            rates += [rate for one in seeds if (rate := float(one["steps_per_s"])) > 0]
    return rates


def _num_weights(settings: Settings, task: str) -> int:
    tensors = parameters(build_network(settings.tasks[task]))
    return sum(math.prod(tensor.shape) for tensor in tensors.values())


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 5400:
        return f"{seconds / 60:.0f} min"
    if seconds < 72 * 3600:
        return f"{seconds / 3600:.{int(seconds < 36_000)}f} h"
    return f"{seconds / 86_400:,.0f} days"
