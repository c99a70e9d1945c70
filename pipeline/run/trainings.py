"""Train the seeds of one stage instance side by side, each into files of its own.

Shared by all stages that train: read the starts, masks and data, and let workers train.
Each keeps checkpoints and its finished seeds, so that a killed stage loses nothing; the
stage then writes its artifacts from them at once.
"""

import json
import platform
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from pipeline import engines
from pipeline.artifacts import files, paths
from pipeline.border import exits, user_failures
from pipeline.border.user_code import CodeError
from pipeline.config.settings import Task, network_for
from pipeline.core import metrics
from pipeline.core.batches import Dataset, Split
from pipeline.core.description import Description
from pipeline.core.models.layers import Network
from pipeline.core.training.engine import Job
from pipeline.core.training.mask_rules import MaskRule, first_mask
from pipeline.core.training.score_rules import ScoreRule
from pipeline.engines.shared.compilation import account
from pipeline.run import checkpoints, finished, kept, kernels, machines, overall, trials
from pipeline.run.executors import cores, preloads, processes
from pipeline.run.executors.portable import UnfitError
from pipeline.run.executors.processes import InterruptedTraining, Notice, Report, Tell
from pipeline.run.finished import Finished
from pipeline.run.kept import Kept, Say, Training, bounds
from pipeline.run.kept.numerics import Canary
from pipeline.run.progress import Display

_CALL = ("pipeline.core.models.modules", "compute")
"""the function that calls modules"""
CHECKPOINT_S = 10.0
"""seconds of work that a killed training repeats at most"""
LONGEST_UNIT = 210
"""characters of a unit's name, which leave room for what decides it"""


OTHER_BITS = (
    "computes other bits than this machine, and nothing is trained there; LT_NUMERICS=any "
    "allows it"
)


class OtherBitsError(UnfitError):
    """A machine is of another numerics class than its training asks for."""


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

    def canary(self, job: Job) -> Canary:
        """A small training, whose bits tell which machines compute this unit alike."""
        digest = files.load_facts(self.data)["digest"]
        return Canary(engine=self.engine, job=job, data=digest)

    def name(self, jobs: list[Job]) -> str:
        """A digest of what decides the trainings of a unit, but for the machine."""
        noted = [self.metric, self.task.is_own, finished.code(), machines.versions()]
        return checkpoints.unit_digest(
            jobs,
            engine=self.engine,
            data=files.load_facts(self.data)["digest"],
            host=json.dumps(noted),
        )

    @property
    def units(self) -> list[tuple[int, ...]]:
        """The seeds that are trained together, each by one worker."""
        batched = engines.ENGINES[self.engine].several_jobs
        return [self.seeds] if batched else [(seed,) for seed in self.seeds]

    @property
    def works(self) -> list["SeedsWork"]:
        """One piece of work per copy and unit."""
        return [
            SeedsWork(source=self, copy=copy, seeds=unit, kept=kept.asked())
            for copy in self.copies
            for unit in self.units
        ]


@dataclass(frozen=True, kw_only=True, slots=True)
class SeedsWork:
    """The work of one worker: train one seed, or the lanes of a batched engine."""

    source: Source
    copy: int | str
    seeds: tuple[int, ...]
    kept: Kept
    """where finished trainings are looked for, and left"""
    numerics: str | None = None
    """the class that a machine must have to train them; None = that of any machine"""

    def run(self, report: Tell, stop: Callable[[], bool]) -> None:
        """Get the seeds, or train from the last checkpoint on and leave them beside it.

        Raises:
            OtherBitsError: if this machine computes other bits than are asked for.
        """
        jobs = self._jobs(files.load_dataset(self.source.data))
        with self._watched(report, stop):
            numerics = self.source.canary(jobs[0]).found()
            if self.numerics not in (None, numerics):
                raise OtherBitsError(f"{platform.node()} {OTHER_BITS}")
            named = self._named(jobs, numerics)
            say = _noticing(report)
            if not named.is_there(say):
                self._train(jobs, named, report, stop)
                named.put(say)

    def is_there(self, say: Say) -> bool:
        """Whether the seeds are finished, or were kept and are fetched; without training.

        False where this machine does not know its numerics class yet: a worker tells it.
        """
        named = self._named_here()
        return named is not None and named.is_there(say)

    def put(self, say: Say) -> None:
        """Keep the seeds, which another machine has finished."""
        if (named := self._named_here()) is not None:
            named.put(say)

    def find_class(self, report: Tell, stop: Callable[[], bool]) -> None:
        """Let the numerics class of this machine be known from now on."""
        jobs = self._jobs(files.load_dataset(self.source.data))
        with self._watched(report, stop):
            self.source.canary(jobs[0]).found()

    def _named_here(self) -> "Named | None":
        """The seeds by their names on this machine, as far as its class is known."""
        description = files.load_description(self.source.data)
        jobs = self._jobs(without_examples(description))
        numerics = self.source.canary(jobs[0]).known()
        return None if numerics is None else self._named(jobs, numerics)

    @contextmanager
    def _watched(self, report: Tell, stop: Callable[[], bool]) -> Iterator[None]:
        with _of_user(self.source.task), account.watched(lambda: _told(report, stop)):
            yield

    def _jobs(self, data: Dataset) -> list[Job]:
        network = network_for(self.source.task, data.description)
        return [self.source.job(data, network, seed, self.copy) for seed in self.seeds]

    def _named(self, jobs: list[Job], numerics: str) -> "Named":
        name = self.source.name(jobs)
        unit = finished.prefix(self.source.copies, self.copy)
        unit += paths.short(paths.group_name(self.seeds), LONGEST_UNIT)
        folder = checkpoints.folder_of(self.source.key, unit, f"{name}-{numerics}")
        return Named(
            folder=folder, seeds=self.seeds, name=name, numerics=numerics, kept=self.kept
        )

    def _train(
        self,
        jobs: list[Job],
        named: "Named",
        report: Tell,
        stop: Callable[[], bool],
    ) -> None:
        from pipeline.core.training.loop import Progress, train

        folder = named.folder
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
                raise InterruptedTraining

        if resume is not None:
            known = [float(la.curves["validation"].accuracy[-1]) for la in resume.lanes]
            tell(resume.step, known, resumed=True)
        engine = engines.make_engine(self.source.engine, jobs)
        trained = train(jobs, engine, resume=resume, watch=watch)
        seconds = _clock() - begin
        for job, result in zip(jobs, trained, strict=True):
            accuracy = metrics.accuracy(self.source.metric, result, job.end_step)
            noted = finished.Noted(
                test_accuracy=accuracy,
                seconds=seconds / len(jobs),
                own=self.source.task.is_own,
                numerics=named.numerics,
            )
            finished.leave(folder, job, result, noted)


@dataclass(frozen=True, kw_only=True, slots=True)
class Named:
    """A unit under the name of what decides it."""

    folder: Path
    """of its checkpoint"""
    seeds: tuple[int, ...]
    name: str
    numerics: str
    kept: Kept

    def is_there(self, say: Say) -> bool:
        """Whether every seed is finished, or kept and now fetched."""
        return all(self._has(seed, say) for seed in self.seeds)

    def _has(self, seed: int, say: Say) -> bool:
        try:
            if checkpoints.finished(self.folder, seed):
                return True
        except checkpoints.LostCheckpoint as lost:
            say(str(lost))
        return self.kept.fetch(self.folder, self._training(seed), say)

    def put(self, say: Say) -> None:
        """Keep what is finished."""
        for seed in self.seeds:
            self.kept.put(self.folder, self._training(seed), say)

    def _training(self, seed: int) -> Training:
        return Training(name=self.name, seed=seed, numerics=self.numerics)


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
    source = trials.with_engine_that_works(source, network, machines.versions())
    labels = tuple(source.label_of(copy) for copy in source.copies)
    place = overall.place_of(source.label)
    if works := [work for work in source.works if not work.is_there(_say)]:
        with Display(source.label, source.seeds, labels, place=place) as display:
            processes.run_all(
                works,
                at_once=limit,
                preload=preloads.module_for(source.engine, network),
                watch=display.show,
            )
        bounds.keep(kept.asked().place, _say)
    found = finished.find
    return [
        found(source.key, source.copies, copy, seed, source.engine)
        for copy in source.copies
        for seed in source.seeds
    ]


def forget(source: Source) -> None:
    """Remove what ``run`` kept; its artifacts are written."""
    checkpoints.remove(source.key)


def timing(trained: Mapping[Any, Finished], started: datetime) -> dict[str, Any]:
    """The content of a timing file: seconds and steps/s, and where it was trained.

    Args:
        trained: by seed, or by seed and copy.
        started: when the stage began.
    """
    when = {"started": started.isoformat(), "ended": datetime.now(UTC).isoformat()}
    here = machines.machine()
    content = {"seeds": {key: one.timing for key, one in trained.items()}} | when | here
    elsewhere = {k: one.machine for k, one in trained.items() if one.is_from_elsewhere}
    return content | ({"trained_on": elsewhere} if elsewhere else {})


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


def _noticing(report: Tell) -> Say:
    """Tell lines as a worker does."""
    return lambda line: report(Notice(line))


_NONE = Split(inputs=np.empty((0,), np.uint8), labels=np.empty((0,), np.int64))


def without_examples(description: Description) -> Dataset:
    """A data set without examples: it names a training whose data nobody has to read."""
    return Dataset(train=_NONE, validation=_NONE, test=_NONE, description=description)
