"""Train one round and write what it leaves: weights, mask, results, curves, timing."""

import math
from datetime import UTC, datetime
from typing import Any

from pipeline.artifacts import files, paths
from pipeline.artifacts.paths import Instance
from pipeline.core.models.layers import parameters
from pipeline.run import trainings
from pipeline.run.trainings import Finished, Source


def run(
    instance: Instance, source: Source, settings: dict[str, Any], *, at_once: int | None
) -> None:
    """Train all seeds of an instance and write its artifacts.

    Args:
        instance: which round of which variant.
        source: what to train.
        settings: what stands behind the result, recorded with it.
        at_once: trainings side by side; None = as many as cores.
    """
    started = datetime.now(UTC)
    done = trainings.run(source, at_once=at_once)
    _write(instance, done, _result(instance, source, settings, done))
    seconds = {one.seed: one.timing for one in done}
    files.save_json(paths.timing_file(instance), trainings.timing(seconds, started))
    trainings.forget(source)


def _result(
    instance: Instance, source: Source, settings: dict[str, Any], done: list[Finished]
) -> dict[str, Any]:
    """The content of result.json."""
    tensors = parameters(source.network())
    sizes = {n: math.prod(t.shape) for n, t in tensors.items()}
    counted = done[0].facts["kept"]
    return {
        "task": instance.task,
        "variant": instance.variant,
        "round": instance.round,
        "engine": source.engine,
        "settings": settings,
        "sizes": {name: sizes[name] for name in counted},
        "num_prunable": sum(sizes[name] for name in counted),
        "num_parameters": sum(sizes[n] for n, t in tensors.items() if t.trainable),
        "seeds": {one.seed: one.facts | {"theta0": _theta0(source, one)} for one in done},
    }


def _write(instance: Instance, done: list[Finished], result: dict[str, Any]) -> None:
    """Collect the finished seeds into the artifacts of the instance."""
    with files.atomic_folder(paths.trained_folder(instance)) as folder:
        for one in done:
            for part in ("weights", "mask"):
                name = paths.seed_file(one.folder, one.seed, part)
                files.copy(name, folder / name.name)
    with files.atomic_folder(paths.results_folder(instance)) as folder:
        files.save_json(folder / "result.json", result)
        curves = [files.load_curves(one.folder / f"s{one.seed}.parquet") for one in done]
        files.save_curve_table(folder / "curves.parquet", curves)


def _theta0(source: Source, one: Finished) -> str:
    """The hash of θ₀ behind a start, as the start's file says."""
    facts = files.load_facts(paths.seed_file(source.starts, one.seed))
    return str(facts["theta0"])
