"""Train the seeds of one stage instance side by side, each into files of its own.

Shared by all stages that train: read the starts, masks and data, and let workers train.
Each keeps checkpoints and its finished seeds, so that a killed stage loses nothing; the
stage then writes its artifacts from them at once.
"""

import platform
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from pipeline import engines
from pipeline.artifacts import files, parquet, paths
from pipeline.artifacts.files import ArtifactError
from pipeline.border import exits, user_failures
from pipeline.border.user_code import CodeError
from pipeline.config.settings import Task, network_for
from pipeline.core import masks, metrics
from pipeline.core.batches import Dataset
from pipeline.core.models.layers import Network
from pipeline.core.training.engine import Job
from pipeline.core.training.facts import cost_facts, curve_rows, facts
from pipeline.core.training.mask_rules import MaskRule, first_mask
from pipeline.core.training.results import Trained
from pipeline.core.training.score_rules import ScoreRule
from pipeline.engines.shared.compilation import account
from pipeline.run import checkpoints, kernels, overall, trials
from pipeline.run.executors import cores, preloads, processes
from pipeline.run.executors.processes import Notice, Report, Tell
from pipeline.run.progress import Display

_CALL = ("pipeline.core.models.modules", "compute")
"""the function that calls modules"""
CHECKPOINT_S = 10.0
"""seconds of work that a killed training repeats at most"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Source:
    """Files and settings of trainings; picklable, so that workers read for themselves."""

    label: str
    """its name on the screen and among the checkpoints"""
    seeds: tuple[int, ...]
    task: Task
    data: Path
    """the prepared data set"""
    engine: str
    metric: str
    """of METRICS: what a result calls the test accuracy"""
    starts: Path
    masks: Path | None
    """folder of the masks; None = trainings begin with masks that keep everything"""
    round: int
    """chooses the data order"""
    copies: tuple[int | str, ...] = (0,)
    """data orders of the round; every seed is trained once with each"""
    first_step: int = 0
    last_step: int | None = None
    """None = with the schedule"""
    rule: MaskRule | None = None
    """how its mask changes while it trains"""
    score_rule: ScoreRule | None = None
    """how scores, which train in place of its weights, make the network"""

    @property
    def key(self) -> str:
        """Its name among the checkpoints."""
        return paths.short(self.label.replace("/", "-"))

    def network(self) -> Network:
        """The task's network, for the images of the prepared data."""
        return network_for(self.task, files.load_description(self.data))

    @property
    def parts(self) -> tuple[str, ...]:
        """The arrays that a training leaves."""
        return ("weights", "mask", *(("scores",) if self.score_rule else ()))

    def job(self, data: Dataset, network: Network, seed: int, copy: int | str) -> Job:
        """One of its trainings, as engines take it."""
        if self.masks is None:
            mask = first_mask(network, self.score_rule or self.rule)
        else:
            mask = files.load_mask(self.masks, seed)
        return Job(
            network=network,
            start=files.load_weights(self.starts, seed),
            mask=mask,
            data=data,
            settings=self.task.train,
            seed=seed,
            round=self.round,
            copy=copy,
            first_step=self.first_step,
            last_step=self.last_step,
            rule=self.rule,
            score_rule=self.score_rule,
        )

    def label_of(self, copy: int | str) -> str:
        """The name of a copy on the screen; empty if there is only one."""
        return str(copy) if len(self.copies) > 1 else ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Finished:
    """One finished training."""

    copy: int | str
    seed: int
    engine: str
    """which trained it"""
    folder: Path
    """folder of its weights, mask and curves"""
    facts: dict[str, Any]
    timing: dict[str, Any]


@dataclass(frozen=True, kw_only=True, slots=True)
class SeedsWork:
    """The work of one worker: train one seed, or the lanes of a batched engine."""

    source: Source
    copy: int | str
    seeds: tuple[int, ...]

    def run(self, report: Tell, stop: Callable[[], bool]) -> None:
        """Train from the last checkpoint on and leave finished seeds beside it."""
        source = self.source
        data = files.load_dataset(source.data)
        network = source.network()
        jobs = [source.job(data, network, seed, self.copy) for seed in self.seeds]
        name = checkpoints.unit_digest(
            jobs,
            engine=source.engine,
            data=files.load_facts(source.data)["digest"],
            host=_host(source.task.train.device),
        )
        unit = _prefix(source, self.copy) + paths.short(paths.group_name(self.seeds), 230)
        folder = checkpoints.folder_of(source.key, unit, name)
        with _noticed(report):
            if all(checkpoints.finished(folder, seed) for seed in self.seeds):
                return
        with _of_user(source.task), account.watched(lambda: _told(report, stop)):
            self._train(jobs, folder, report, stop)

    def _train(
        self,
        jobs: list[Job],
        folder: Path,
        report: Tell,
        stop: Callable[[], bool],
    ) -> None:
        from pipeline.core.training.loop import Progress, train

        resume, seconds_before = None, 0.0
        with _noticed(report):
            resume, seconds_before = checkpoints.load(folder) or (None, 0.0)
        begin, kept = _clock() - seconds_before, time.monotonic()

        def tell(step: int, accuracies: Sequence[float], *, resumed: bool) -> None:
            for job, accuracy in zip(jobs, accuracies, strict=True):
                report(
                    Report(
                        seed=job.seed,
                        step=step,
                        total_steps=job.end_step,
                        accuracy=accuracy,
                        copy=self.source.label_of(self.copy),
                        resumed=resumed,
                    )
                )

        def watch(now: Progress) -> None:
            nonlocal kept
            tell(now.step, now.accuracies, resumed=False)
            clock = time.monotonic()
            if stop() or clock - kept >= CHECKPOINT_S:
                with _noticed(report):
                    checkpoints.save(folder, now.snapshot(), seconds=_clock() - begin)
                kept = clock
            if stop():
                raise checkpoints.InterruptedTraining

        if resume is not None:
            known = [float(la.curves["validation"].accuracy[-1]) for la in resume.lanes]
            tell(resume.step, known, resumed=True)
        engine = engines.make_engine(self.source.engine, jobs)
        trained = train(jobs, engine, resume=resume, watch=watch)
        seconds = _clock() - begin
        for job, result in zip(jobs, trained, strict=True):
            accuracy = metrics.accuracy(self.source.metric, result, job.end_step)
            _leave(
                folder,
                job,
                result,
                test_accuracy=accuracy,
                seconds=seconds / len(jobs),
                own=self.source.task.is_own,
            )


def run(source: Source, *, at_once: int | None) -> list[Finished]:
    """Train every seed with every copy's data order.

    Args:
        source: what to train.
        at_once: trainings side by side; None = as many as cores.

    Returns:
        One per copy and seed, in this order. Their folders stay until ``forget``.

    Raises:
        EngineError: if the engine that the settings name does not work on this machine.
    """
    network = source.network()
    limit = at_once or max(1, cores.available_cores() // source.task.train.processes)
    if engines.ENGINES[source.engine].compiles(network):
        kernels.make_ready([_kernels(source)], at_once=limit, say=_say)
    source = trials.with_engine_that_works(source, network, machine()["versions"])
    batched = engines.ENGINES[source.engine].several_jobs
    units = [source.seeds] if batched else [(seed,) for seed in source.seeds]
    works = [
        SeedsWork(source=source, copy=copy, seeds=unit)
        for copy in source.copies
        for unit in units
    ]
    labels = tuple(source.label_of(copy) for copy in source.copies)
    place = overall.place_of(source.label)
    with Display(source.label, source.seeds, labels, place=place) as display:
        processes.run_all(
            works,
            at_once=limit,
            preload=preloads.module_for(source.engine, network),
            watch=display.show,
        )
    return [_finished(source, c, seed) for c in source.copies for seed in source.seeds]


def forget(source: Source) -> None:
    """Remove what ``run`` kept; its artifacts are written."""
    checkpoints.remove(source.key)


def timing(seeds: dict[Any, Any], started: datetime) -> dict[str, Any]:
    """The content of a timing file.

    Args:
        seeds: seconds and steps/s by seed, or deeper.
        started: when the stage began.
    """
    ended = datetime.now(UTC).isoformat()
    return {"seeds": seeds, "started": started.isoformat(), "ended": ended} | machine()


def _kernels(source: Source) -> kernels.Need:
    """The kernels that trainings need; usually they were compiled with the plan's."""
    density = 1.0
    if source.masks is not None:
        facts = files.load_facts(files.mask_file(source.masks, source.seeds[0]))
        density = float(facts.get("density", 1.0))
    return kernels.Need(engine=source.engine, task=source.task, densities=(density,))


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)  # noqa: T201


def _clock() -> float:
    """Seconds since some moment, without those that compiled code took."""
    return time.monotonic() - account.seconds


@contextmanager
def _told(report: Tell, stop: Callable[[], bool]) -> Iterator[None]:
    """Tell that kernels are compiled, and let Ctrl-C end it: that takes up to a minute."""
    report(Notice(kernels.COMPILING))
    with processes.ending_at_once(stop):
        yield


@contextmanager
def _of_user(task: Task) -> Iterator[None]:
    """Name the user's function for a module that fails where no code of theirs runs.

    A module may be made of torch's layers alone.

    Raises:
        CodeError: with one line.
    """
    try:
        yield
    except Exception as error:
        name = task.model.import_
        told = exits.of_machine(error) or user_failures.place(error)
        if name is None or told or not user_failures.passed(error, *_CALL):
            raise
        raise CodeError(user_failures.told(name, error)) from error


@contextmanager
def _noticed(report: Tell) -> Iterator[None]:
    """Go on after a checkpoint is lost, with a line about it."""
    try:
        yield
    except checkpoints.LostCheckpoint as lost:
        report(Notice(str(lost)))


def _finished(source: Source, copy: int | str, seed: int) -> Finished:
    """What a worker has left of a finished seed."""
    base = checkpoints.FOLDER / source.key
    for path in sorted(base.glob(f"{_prefix(source, copy)}s*/s{seed}.json")):
        with suppress(checkpoints.LostCheckpoint):
            if left := checkpoints.finished(path.parent, seed):
                engine, folder = source.engine, path.parent
                return Finished(copy=copy, seed=seed, engine=engine, folder=folder, **left)
    raise ArtifactError(
        f"the finished training of seed {seed} is gone from {base}; run `dvc repro` again, "
        "and leave that folder alone meanwhile"
    )


def _prefix(source: Source, copy: int | str) -> str:
    """The beginning of the names of a copy's units; empty if there is only one copy."""
    return f"c{source.copies.index(copy)}-" if len(source.copies) > 1 else ""


def _leave(
    folder: Path,
    job: Job,
    trained: Trained,
    *,
    test_accuracy: float,
    seconds: float,
    own: bool,
) -> None:
    """Write one finished seed into the checkpoint folder, its facts last.

    Args:
        folder: of the checkpoint.
        job: what was trained.
        trained: its result.
        test_accuracy: by the task's metric.
        seconds: that the training took.
        own: whether network or data are the user's own, so that no setting tells costs.
    """
    seed = job.seed
    arrays = paths.seed_file
    weights, mask = arrays(folder, seed, "weights"), arrays(folder, seed, "mask")
    curves = folder / f"s{seed}.parquet"
    written = [weights, mask, curves]
    if trained.scores is not None:
        written.append(arrays(folder, seed, "scores"))
    for path in written:
        checkpoints.free(path)
    if trained.scores is not None:
        files.save_arrays(arrays(folder, seed, "scores"), trained.scores)
    files.save_arrays(weights, trained.weights)
    files.save_arrays(mask, trained.mask, density=masks.density(trained.mask))
    parquet.save_curves(curves, curve_rows(seed, trained))
    timing = {
        "seconds": seconds,
        "steps_per_s": (trained.end.step - job.first_step) / max(seconds, 1e-9),
    }
    found = facts(job, trained, test_accuracy) | (cost_facts(job) if own else {})
    kept = {"facts": found, "timing": timing}
    checkpoints.finish(folder, seed, kept, written)


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
    """The facts of machine and libraries that decide the bits of a training."""
    if device == "cpu":
        # Not asked of torch, which the compiled engines do without.
        import llvmlite.binding

        features = llvmlite.binding.get_host_cpu_features()
        kind = f"{llvmlite.binding.get_host_cpu_name()} {features.flatten()}"
    else:
        import torch

        kind = torch.cuda.get_device_name(device)
    return f"{kind}, {', '.join(f'{k} {v}' for k, v in machine()['versions'].items())}"
