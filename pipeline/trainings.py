"""Train the seeds of one stage instance side by side and write what they leave.

Shared by the ``train`` and ``retrain`` stages: read the starts, masks and data, let
workers train (each keeps checkpoints and its finished seeds), then write the artifacts at
once, so that a killed stage leaves nothing half-written and loses nothing.
"""

import math
import platform
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from pipeline import artifacts, checkpoints, params, preloads, workers
from pipeline.artifacts import Instance
from pipeline.core import masks, training
from pipeline.core.batches import Dataset
from pipeline.core.digests import digest
from pipeline.core.models.layers import Network, parameters
from pipeline.core.training.engine import Job
from pipeline.core.training.results import Trained
from pipeline.params import Task
from pipeline.progress import Progress
from pipeline.workers import Report

CHECKPOINT_S = 10.0
"""seconds of work that a killed training repeats at most"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Source:
    """Where a training reads from; picklable, so that workers can read for themselves."""

    instance: Instance
    task: Task
    engine: str
    starts: Path
    masks: Path | None
    """None: the dense network, whose mask keeps everything"""

    @property
    def data(self) -> Path:
        """The prepared data set."""
        return artifacts.data_file(self.task.data)

    def network(self) -> Network:
        """The task's network, for the images of the prepared data."""
        return params.network_for(self.task, artifacts.load_facts(self.data))


@dataclass(frozen=True, kw_only=True, slots=True)
class SeedsWork:
    """What one worker does: train one seed, or the lanes of a batched engine."""

    source: Source
    seeds: tuple[int, ...]

    def run(self, report: Callable[[Report], None], stop: Callable[[], bool]) -> None:
        """Train from the last checkpoint on and leave finished seeds beside it."""
        source = self.source
        data = artifacts.load_dataset(source.data)
        network = source.network()
        jobs = [_job(source, network, data, seed) for seed in self.seeds]
        name = checkpoints.unit_digest(
            jobs,
            engine=source.engine,
            data=artifacts.load_facts(source.data)["digest"],
            host=_host(source.task.train.device),
        )
        key, unit = source.instance.key, artifacts.group_name(self.seeds)
        with checkpoints.opened(key, unit, name, stop) as folder:
            if any(checkpoints.finished(folder, seed) is None for seed in self.seeds):
                _train(source, jobs, folder, report, stop)


def run(source: Source, settings: dict[str, Any], *, at_once: int | None) -> None:
    """Train all seeds of an instance and write its artifacts.

    Args:
        source: what to train.
        settings: what stands behind the result, recorded with it.
        at_once: trainings side by side; None = as many as cores.
    """
    started = datetime.now(UTC)
    seeds = source.instance.seeds
    batched = training.is_batched(source.engine)
    units = [seeds] if batched else [(seed,) for seed in seeds]
    works = [SeedsWork(source=source, seeds=unit) for unit in units]
    limit = at_once or workers.available_cores()
    with Progress(source.instance.path, seeds) as progress:
        workers.run_all(
            works,
            at_once=limit,
            preload=preloads.module_for(source.engine),
            watch=progress.show,
        )
    _write(source, settings, started)
    checkpoints.remove(source.instance.key)


def _job(source: Source, network: Network, data: Dataset, seed: int) -> Job:
    settings = source.task.train
    if source.masks is None:
        tensors = parameters(network)
        mask = masks.dense(tensors, [n for n, t in tensors.items() if t.kind])
    else:
        mask = artifacts.load_mask(source.masks, seed)
    return Job(
        network=network,
        start=artifacts.load_weights(source.starts, seed),
        mask=mask,
        data=data,
        settings=settings,
        seed=seed,
        round=source.instance.round,
        copy=0 if settings.common_noise else source.instance.variant,
    )


def _train(
    source: Source,
    jobs: list[Job],
    folder: Path,
    report: Callable[[Report], None],
    stop: Callable[[], bool],
) -> None:
    from pipeline.core.training.loop import Progress as Step
    from pipeline.core.training.loop import train

    resume, seconds_before = checkpoints.load(folder)
    begin = kept = time.monotonic()

    def tell(step: int, accuracies: Sequence[float], *, resumed: bool) -> None:
        for job, accuracy in zip(jobs, accuracies, strict=True):
            report(
                Report(
                    seed=job.seed,
                    step=step,
                    total_steps=job.total_steps,
                    accuracy=accuracy,
                    resumed=resumed,
                )
            )

    def watch(now: Step) -> None:
        nonlocal kept
        tell(now.step, now.accuracies, resumed=False)
        clock = time.monotonic()
        if stop() or clock - kept >= CHECKPOINT_S:
            seconds = seconds_before + clock - begin
            checkpoints.save(folder, now.snapshot(), seconds=seconds)
            kept = clock
        if stop():
            raise checkpoints.InterruptedTraining

    if resume is not None:
        known = [float(lane.curves["validation"].accuracy[-1]) for lane in resume.lanes]
        tell(resume.step, known, resumed=True)
    engine = training.make_engine(source.engine, jobs)
    trained = train(jobs, engine, resume=resume, watch=watch)
    seconds = seconds_before + time.monotonic() - begin
    for job, result in zip(jobs, trained, strict=True):
        _leave(folder, job, result, seconds / len(jobs))


def _leave(folder: Path, job: Job, trained: Trained, seconds: float) -> None:
    """Write one finished seed into the checkpoint folder, its facts last."""
    seed = job.seed
    arrays = artifacts.seed_file
    mask_digest = digest(trained.mask)
    artifacts.save_arrays(arrays(folder, seed, "weights"), trained.weights)
    artifacts.save_arrays(
        arrays(folder, seed, "mask"),
        trained.mask,
        density=masks.density(trained.mask),
    )
    rows = _curve_rows(seed, trained)
    artifacts.save_curves(folder / f"s{seed}.parquet", rows)
    facts = {
        "density": masks.density(trained.mask),
        "kept": masks.kept(trained.mask),
        "collapsed": masks.collapsed(trained.mask),
        "steps": trained.end.step,
        "early_stop_step": trained.early_stop.step,
        "censored": trained.censored,
        "validation_loss": trained.early_stop.validation.loss,
        "validation_accuracy": trained.early_stop.validation.accuracy,
        "test_accuracy_early_stop": trained.early_stop.test.accuracy,
        "test_accuracy": trained.end.test.accuracy,
        "test_loss": trained.end.test.loss,
        "diverged": trained.diverged,
        "start": digest(job.start),
        "mask": mask_digest,
        "trained": digest(trained.weights),
    }
    timing = {
        "seconds": seconds,
        "steps_per_s": (trained.end.step - job.first_step) / max(seconds, 1e-9),
    }
    checkpoints.finish(folder, seed, {"facts": facts, "timing": timing})


def _curve_rows(seed: int, trained: Trained) -> dict[str, Any]:
    """Both curves as columns, in order of step, validation before test."""
    rows = sorted(
        (int(step), split != "validation", split, float(loss), float(accuracy))
        for split, curve in trained.curves.items()
        for step, loss, accuracy in zip(curve.step, curve.loss, curve.accuracy, strict=True)
    )
    return {
        "seed": np.full(len(rows), seed, np.int64),
        "step": [row[0] for row in rows],
        "split": [row[2] for row in rows],
        "loss": [row[3] for row in rows],
        "accuracy": [row[4] for row in rows],
    }


def _write(source: Source, settings: dict[str, Any], started: datetime) -> None:
    """Collect the finished seeds into the artifacts of the instance."""
    instance = source.instance
    folders = {seed: _finished_folder(instance, seed) for seed in instance.seeds}
    done = {s: checkpoints.finished(f, s) or {} for s, f in folders.items()}
    tensors = parameters(source.network())
    sizes = {n: math.prod(t.shape) for n, t in tensors.items()}
    counted = next(iter(done.values()))["facts"]["kept"]
    result = {
        "task": instance.task,
        "variant": instance.variant,
        "round": instance.round,
        "engine": source.engine,
        "settings": settings,
        "sizes": {name: sizes[name] for name in counted},
        "num_prunable": sum(sizes[name] for name in counted),
        "num_parameters": sum(sizes[n] for n, t in tensors.items() if t.trainable),
        "seeds": {
            seed: one["facts"] | {"theta0": _theta0(source, seed)}
            for seed, one in done.items()
        },
    }
    timing = {
        "seeds": {seed: one["timing"] for seed, one in done.items()},
        "started": started.isoformat(),
        "ended": datetime.now(UTC).isoformat(),
    }
    with artifacts.atomic_folder(artifacts.trained_folder(instance)) as folder:
        for seed, kept in folders.items():
            for part in ("weights", "mask"):
                name = artifacts.seed_file(kept, seed, part)
                artifacts.copy(name, folder / name.name)
    with artifacts.atomic_folder(artifacts.results_folder(instance)) as folder:
        artifacts.save_json(folder / "result.json", result)
        curves = [artifacts.load_curves(f / f"s{s}.parquet") for s, f in folders.items()]
        artifacts.save_curve_table(folder / "curves.parquet", curves)
    artifacts.save_json(artifacts.timing_file(instance), timing | machine())


def _theta0(source: Source, seed: int) -> str:
    """The hash of θ₀ behind a start, as the start's file says."""
    facts = artifacts.load_facts(artifacts.seed_file(source.starts, seed))
    return str(facts["theta0"])


def _finished_folder(instance: Instance, seed: int) -> Path:
    """The checkpoint folder in which a seed was finished."""
    base = checkpoints.FOLDER / instance.key
    return next(path.parent for path in sorted(base.glob(f"*/s{seed}.json")))


def machine() -> dict[str, Any]:
    """Host, processor and versions, for the timing files."""
    names = ("torch", "numpy", "numba")
    return {
        "host": platform.node(),
        "cpu": _cpu_name(),
        "versions": {"python": platform.python_version()}
        | {name: version(name) for name in names},
    }


def _cpu_name() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if "model name" in line]
    return names[0] if names else platform.processor()


def _host(device: str) -> str:
    """What of machine and libraries decides the bits of a training."""
    if device == "cpu":
        # Not asked of torch, which the sparse engines do without.
        import llvmlite.binding

        features = llvmlite.binding.get_host_cpu_features()
        kind = f"{llvmlite.binding.get_host_cpu_name()} {features.flatten()}"
    else:
        import torch

        kind = torch.cuda.get_device_name(device)
    return f"{kind}, {', '.join(f'{k} {v}' for k, v in machine()['versions'].items())}"
