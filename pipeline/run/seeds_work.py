"""Train some seeds as the work of one worker, or take them from where they were kept.

A training keeps checkpoints, and is left finished beside them, so that a killed worker
loses nothing.
"""

import platform
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pipeline import engines
from pipeline.artifacts import files, paths
from pipeline.border import exits, user_failures
from pipeline.border.user_code import CodeError
from pipeline.config.settings import Task, network_for
from pipeline.core import metrics
from pipeline.core.batches import Dataset, Split
from pipeline.core.description import Description
from pipeline.core.training.engine import Job
from pipeline.engines.shared.compilation import account
from pipeline.run import checkpoints, finished, kept, kernels
from pipeline.run.executors import processes
from pipeline.run.executors.portable import UnfitError
from pipeline.run.executors.processes import InterruptedTraining, Notice, Report, Tell
from pipeline.run.finished import Finished
from pipeline.run.kept import Kept, Say, Training
from pipeline.run.sources import Source

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

    def left(self) -> list[Finished]:
        """The files of the finished seeds, whichever machine has trained them.

        Raises:
            ArtifactError: if one is gone.
        """
        source = self.source
        name = source.name(self._jobs_without_examples())
        return [
            finished.find(
                source.key,
                self._unit,
                name,
                copy=self.copy,
                seed=seed,
                engine=source.engine,
            )
            for seed in self.seeds
        ]

    def put(self, say: Say) -> None:
        """Keep the seeds under the numerics class of the machine that finished them."""
        for one in self.left():
            training = Training(name=one.name, seed=one.seed, numerics=one.numerics)
            self.kept.put(one.folder, training, say)

    def find_class(self, report: Tell, stop: Callable[[], bool]) -> None:
        """Let the numerics class of this machine be known from now on."""
        jobs = self._jobs(files.load_dataset(self.source.data))
        with self._watched(report, stop):
            self.source.canary(jobs[0]).found()

    def _named_here(self) -> "Named | None":
        """The seeds by their names on this machine, as far as its class is known."""
        jobs = self._jobs_without_examples()
        numerics = self.source.canary(jobs[0]).known()
        return None if numerics is None else self._named(jobs, numerics)

    @contextmanager
    def _watched(self, report: Tell, stop: Callable[[], bool]) -> Iterator[None]:
        with _of_user(self.source.task), account.watched(lambda: _told(report, stop)):
            yield

    def _jobs(self, data: Dataset) -> list[Job]:
        network = network_for(self.source.task, data.description)
        return [self.source.job(data, network, seed, self.copy) for seed in self.seeds]

    def _jobs_without_examples(self) -> list[Job]:
        """The jobs without examples, which is enough to name the trainings."""
        description = files.load_description(self.source.data)
        return self._jobs(without_examples(description))

    @property
    def _unit(self) -> str:
        """The seeds, and which copy of them, in the names of folders."""
        seeds = paths.short(paths.group_name(self.seeds), LONGEST_UNIT)
        return finished.prefix(self.source.copies, self.copy) + seeds

    def _named(self, jobs: list[Job], numerics: str) -> "Named":
        name = self.source.name(jobs)
        folder = checkpoints.folder_of(self.source.key, self._unit, f"{name}-{numerics}")
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


def works(source: Source) -> list[SeedsWork]:
    """One piece of work per copy and unit of seeds."""
    return [
        SeedsWork(source=source, copy=copy, seeds=unit, kept=kept.asked())
        for copy in source.copies
        for unit in source.units
    ]


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
