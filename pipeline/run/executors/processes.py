"""Run pieces of work side by side, in processes of one thread each.

The processes are forked from a server that has imported torch (or whatever else they need)
already, so that the import is paid once; the parent itself stays without it. Two torch
threads beside another busy process are up to 50 times slower than one: a worker has one.
"""

import multiprocessing
import os
import signal
import sys
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from multiprocessing import connection
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerContext, ForkServerProcess
from typing import Protocol

from pipeline.border.errors import UserError
from pipeline.run.checkpoints import InterruptedTraining
from pipeline.run.executors import lifeline

THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")


class WorkerError(UserError):
    """A worker did not finish; one line that says how."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Report:
    """A worker's report on one seed while it trains."""

    seed: int
    step: int
    total_steps: int
    accuracy: float
    copy: str = ""
    """the copy, if a seed has several trainings; else empty"""
    resumed: bool = False
    """whether the training goes on here from a checkpoint"""


@dataclass(frozen=True, slots=True)
class Notice:
    """A line of a worker for the user; the work goes on."""

    text: str


Tell = Callable[[Report | Notice], None]


class Work(Protocol):
    """A picklable piece of work."""

    def run(self, report: Tell, stop: Callable[[], bool]) -> None:
        """Do the work and report how far it is.

        Raises:
            InterruptedTraining: soon after ``stop`` says so.
        """


def run_all(
    works: Sequence[Work],
    *,
    at_once: int,
    preload: str,
    watch: Tell,
) -> None:
    """Run pieces of work, ``at_once`` of them at a time.

    Args:
        works: in the order in which they begin.
        at_once: how many processes.
        preload: module that is imported once for all of them.
        watch: told of every report and notice.

    Raises:
        WorkerError: if a worker fails or is killed; the others are stopped first.
        KeyboardInterrupt: as it came, after the workers have kept their checkpoints.
    """
    context = _context(preload)
    waiting = list(works)
    running: dict[Connection, ForkServerProcess] = {}
    try:
        while waiting or running:
            while waiting and len(running) < at_once:
                channel, process = _started(context, waiting.pop(0))
                running[channel] = process
            ready = connection.wait(list(running))
            for channel in [one for one in running if one in ready]:
                _listen(channel, running, watch)
    finally:
        for process in running.values():
            process.terminate()
        for process in running.values():
            process.join()


def _context(preload: str) -> ForkServerContext:
    for variable in THREAD_VARIABLES:
        os.environ[variable] = "1"
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([preload])
    return context


def _started(
    context: ForkServerContext, work: Work
) -> tuple[Connection, ForkServerProcess]:
    ours, theirs = context.Pipe(duplex=False)
    process = context.Process(target=_main, args=(work, theirs))
    try:
        process.start()
    except (EOFError, ConnectionError):
        raise WorkerError(_how_it_ended(_SERVER_GONE)) from None
    theirs.close()
    return ours, process


def _listen(
    channel: Connection,
    running: dict[Connection, ForkServerProcess],
    watch: Tell,
) -> None:
    """Pass on one message; at the end of a worker, look how it ended."""
    try:
        message = channel.recv()
    except EOFError:
        process = running.pop(channel)
        process.join()
        if process.exitcode:
            raise WorkerError(_how_it_ended(process.exitcode)) from None
        return
    if isinstance(message, Report | Notice):
        watch(message)
    else:
        raise WorkerError(str(message))


_SERVER_GONE = 255
"""the exit code of a process whose end the forkserver did not live to tell"""


def _how_it_ended(exitcode: int) -> str:
    if exitcode == _SERVER_GONE:
        return (
            "the server that starts training processes was killed (out of memory?); "
            "checkpoints are kept: run `dvc repro` to go on"
        )
    if exitcode < 0:
        name = signal.Signals(-exitcode).name
        hint = " (out of memory?)" if name == "SIGKILL" else ""
        return (
            f"a training process was ended by {name}{hint}; its checkpoint is kept: "
            "run `dvc repro` to go on"
        )
    return f"a training process failed with exit code {exitcode}; see above"


def _main(work: Work, channel: Connection) -> None:
    """The life of a worker process."""
    stopping: list[int] = []
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda number, _: stopping.append(number))
    lifeline.end_with_parent()
    try:
        work.run(channel.send, lambda: bool(stopping))
    except InterruptedTraining:
        pass
    except (ValueError, OSError) as error:
        channel.send(" ".join(str(error).split()) or repr(error))
    except BaseException:
        traceback.print_exc()
        sys.exit(1)
