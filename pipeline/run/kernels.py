"""Compile the kernels that trainings need before any of them starts, side by side.

    python -m pipeline.run.kernels PID

That takes up to a minute on a machine that has never run this version. So it starts as
soon as there is a plan, as a process of its own, which ends with the dvc of this process
number: data and initial weights are made meanwhile. A stage that trains waits for it, so
that no training runs beside a compiler; where nobody compiles, the stage does it itself.

What was compiled is noted beside the cache of compiled code. The note saves the look into
the cache, for which Numba would have to be imported. Where it is wrong, a worker compiles
what it lacks, and its training's clock stands still meanwhile.
"""

import hashlib
import os
import platform
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import dataclass, replace
from functools import cache
from importlib.metadata import version
from pathlib import Path

import numpy as np
import psutil

from pipeline import engines
from pipeline.border.caches import user_cache
from pipeline.border.locks import lock
from pipeline.border.root import safe_path
from pipeline.config import params
from pipeline.config.settings import Settings, Task, build_network
from pipeline.core.batches import Dataset, Split
from pipeline.core.description import Description
from pipeline.core.models.layers import parameters
from pipeline.core.training.engine import Job
from pipeline.engines.shared.compilation import account
from pipeline.plan import items, trained
from pipeline.plan.current import Standing
from pipeline.plan.items import Plan, items_of
from pipeline.run import machines
from pipeline.run.executors import cores, preloads, processes
from pipeline.run.executors.processes import InterruptedTraining, Notice, Tell

COMPILING = "compiling kernels, once per machine"
STEP, LOOK = "step", "look"
"""the two parts of an engine, which compile other kernels: an update, and evaluations"""
POLL_S = 0.2


@dataclass(frozen=True, kw_only=True, slots=True)
class Need:
    """Trainings of one engine that use the same kernels."""

    engine: str
    task: Task
    """one that is trained so"""
    densities: tuple[float, ...]
    """of its networks: with few weights an engine may evaluate by other kernels"""

    @property
    def note(self) -> str:
        """The name of the file that says that its kernels are compiled."""
        train = self.task.train
        behind = (
            self.engine,
            train.batch_size,
            train.augment,
            *_versions(),
            machines.processor("cpu"),
        )
        return hashlib.sha256(repr(behind).encode()).hexdigest()[:32]

    def beside(self, other: "Need") -> "Need":
        """This need, with the ends of the range of both needs' densities."""
        both = self.densities + other.densities
        return replace(self, densities=tuple(sorted({min(both), max(both)})))


def needs_of(settings: Settings, plan: Plan) -> list[Need]:
    """The kernels that the trainings of a plan need, in its order."""
    trainings = trained.by_stage(settings, plan)
    networks = {name: build_network(task) for name, task in settings.tasks.items()}
    found: dict[str, Need] = {}
    for item in items_of(plan):
        if item.stage not in trainings:
            continue
        task, engine = item["task"], item["engine"]
        if engines.ENGINES[engine].compiles(networks[task]):
            density = trainings[item.stage].density
            one = Need(engine=engine, task=settings.tasks[task], densities=(density,))
            found[one.note] = one.beside(found.get(one.note, one))
    return list(found.values())


def start(
    settings: Settings, plan: Plan, found: Standing, dvc: int | None
) -> subprocess.Popen[bytes] | None:
    """Start to compile what a plan needs, in a process of its own, if that is not done.

    Args:
        settings: of the plan.
        plan: what will run.
        found: which of its results are there.
        dvc: the process number of the dvc with which it ends; None where there is none.

    Returns:
        The process, if one was started. Nobody has to wait for it.
    """
    trainings = (item.stage for item in items_of(plan) if item.kind.trains)
    to_come = any(found.state(stage) != "done" for stage in trainings)
    if dvc is None or not to_come or not _lacking(needs_of(settings, plan)):
        return None
    return subprocess.Popen(
        [sys.executable, *safe_path(Path()), "-m", "pipeline.run.kernels", str(dvc)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def make_ready(
    needs: Iterable[Need], *, at_once: int, say: Callable[[str], None] = lambda _: None
) -> None:
    """Compile what is not compiled, or wait for the process that does.

    Args:
        needs: what will be trained.
        at_once: processes side by side.
        say: is told of a compilation when it begins and when it ends.

    Raises:
        WorkerError: if a compiler is killed.
    """
    needs = list(needs)
    folder = user_cache("kernels")
    if folder is None or not _lacking(needs):
        return
    told: list[float] = []

    def tell(_: object) -> None:
        if not told:
            told.append(time.monotonic())
            say(COMPILING)

    with (folder / "compiling.lock").open("w") as opened:
        try:
            lock(opened, wait=False)
        except BlockingIOError:
            tell(None)
            lock(opened, wait=True)
        _compile(_lacking(needs), at_once=at_once, tell=tell)
    if told:
        say(f"kernels are compiled after {time.monotonic() - told[0]:.0f} s")


def _lacking(needs: Iterable[Need]) -> list[Need]:
    """The needs whose kernels are not known to be there."""
    folder = user_cache("kernels")
    return [one for one in needs if folder and not (folder / f"{one.note}.ready").exists()]


def _compile(needs: list[Need], *, at_once: int, tell: Tell) -> None:
    """Compile side by side, updates first: they take longest."""
    works = [CompileWork(need=one, part=part) for part in (STEP, LOOK) for one in needs]
    if not works:
        return
    with suppress(processes.CrashError):  # the engine's trial tells of it
        processes.run_all(works, at_once=at_once, preload=preloads.KERNELS, watch=tell)
    folder = user_cache("kernels")
    for one in needs if folder else ():
        with suppress(OSError):
            (folder / f"{one.note}.ready").touch()  # type: ignore[operator]


@dataclass(frozen=True, kw_only=True, slots=True)
class CompileWork:
    """Lets an engine compute something once, so that it compiles what that takes."""

    need: Need
    part: str
    """STEP or LOOK"""

    def run(self, report: Tell, stop: Callable[[], bool]) -> None:
        """Compute with weights and data of the right shapes."""

        def begin() -> AbstractContextManager[None]:
            report(Notice(COMPILING))
            return nullcontext()

        with processes.ending_at_once(stop), account.watched(begin):
            for density in self.need.densities:
                try:
                    self._compute(example(self.need.task, density))
                except InterruptedTraining:
                    raise
                except (
                    Exception
                ):  # whatever a compiler raises; the engine's trial tells of it
                    return

    def _compute(self, job: Job) -> None:
        engine = engines.make_engine(self.need.engine, [job])
        if self.part == STEP:
            engine.advance(1)
        else:
            engine.evaluate("validation")
            engine.evaluate("test")


def example(task: Task, density: float) -> Job:
    """A training of a task's shapes, of random data, weights and masks."""
    rng = np.random.default_rng(0)
    known = task.dataset
    network = build_network(task)
    start, mask = {}, {}
    for name, tensor in parameters(network).items():
        start[name] = np.full(tensor.shape, 0.01, np.float32)
        if tensor.kind is not None:
            mask[name] = rng.random(tensor.shape) < density
            start[name] *= mask[name]
    sizes = (task.train.batch_size, known.num_validation, known.num_test)
    train, validation, test = (_split(rng, known.description, size) for size in sizes)
    return Job(
        network=network,
        start=start,
        mask=mask,
        data=Dataset(
            train=train, validation=validation, test=test, description=known.description
        ),
        settings=task.train,
        seed=0,
        round=0,
    )


def _split(rng: np.random.Generator, description: Description, size: int) -> Split:
    images = rng.integers(0, 256, (size, *description.images.shape)).astype(np.uint8)
    return Split(inputs=images, labels=rng.integers(0, description.num_classes, size))


@cache
def _versions() -> tuple[str, ...]:
    """The versions of source and compiler, which decide the compiled code."""
    code = hashlib.sha256()
    for path in sorted(Path(engines.__file__).parent.rglob("*.py")):
        code.update(path.read_bytes())
    packages = (version(name) for name in ("numba", "llvmlite"))
    return code.hexdigest(), platform.python_version(), *packages


def _end_with(number: int) -> None:
    """End this process at once when another one is gone."""
    with suppress(psutil.NoSuchProcess):
        followed = psutil.Process(number)
        while followed.is_running() and followed.status() != psutil.STATUS_ZOMBIE:
            time.sleep(POLL_S)
    os._exit(1)


def main(dvc: int) -> None:
    """Compile what the plan in this folder needs, until the dvc of this number is gone."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    threading.Thread(target=_end_with, args=(dvc,), daemon=True).start()
    settings, plan = params.load(), items.read()
    if plan is not None:
        at_once = settings.workers or cores.available_cores()
        make_ready(needs_of(settings, plan), at_once=at_once)


if __name__ == "__main__":
    main(int(sys.argv[1]))
