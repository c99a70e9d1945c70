"""Run pieces of work side by side, in processes of one thread each.

The processes are forked from a server that has imported torch (or whatever else they need)
already, so that the import is paid once; the parent itself stays without it. Two torch
threads beside another busy process are up to 50 times slower than one: a worker has one.
"""

import multiprocessing
import os
import signal
import sys
import tempfile
import traceback
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import connection, util
from multiprocessing.connection import Connection
from multiprocessing.context import BaseContext
from multiprocessing.process import BaseProcess
from typing import Protocol

from pipeline.border import exits, user_failures
from pipeline.border.errors import UserError
from pipeline.border.redaction import redacted
from pipeline.run.executors import lifeline

THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")


LONGEST_FOLDER = 70
"""characters of a temporary folder that leave room for the names of sockets"""
SHORT_FOLDERS = ("/tmp", "/var/tmp", "/dev/shm")


class WorkerError(UserError):
    """A worker did not finish; one line that says how."""


class InterruptedTraining(Exception):  # noqa: N818 - it is not an error
    """A work has ended since it was asked to; its checkpoint, if it has any, is kept."""


class CrashError(WorkerError):
    """A worker's own code ended it, such as a wrong instruction; one line."""


CRASHES = frozenset(
    number
    for name in ("SIGILL", "SIGSEGV", "SIGABRT", "SIGBUS", "SIGFPE", "SIGTRAP")
    if (number := getattr(signal, name, None))
)


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


@contextmanager
def ending_at_once(stop: Callable[[], bool]) -> Iterator[None]:
    """Let this worker end in the middle of the block as soon as it is asked to.

    For what takes long, cannot ask ``stop``, and loses nothing: the compilation of kernels.

    Raises:
        InterruptedTraining: if it was asked before.
    """
    usual = signal.signal(signal.SIGTERM, signal.SIG_DFL)
    try:
        ending(stop)()
        yield
    finally:
        signal.signal(signal.SIGTERM, usual)


def ending(stop: Callable[[], bool]) -> Callable[[], None]:
    """Make a function that ends this worker if it is asked to: to be called now and then.

    The function raises ``InterruptedTraining``.
    """

    def end_if_asked() -> None:
        if stop():
            raise InterruptedTraining

    return end_if_asked


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
        preload: module that is imported once for all of them, as are those of the works.
        watch: told of every report and notice.

    Raises:
        WorkerError: if a worker fails or is killed; the others are stopped first.
        KeyboardInterrupt: as it came, after the workers have kept their checkpoints.
    """
    made = context({preload} | {type(work).__module__ for work in works})
    waiting = list(works)
    running: dict[Connection, BaseProcess] = {}
    try:
        while waiting or running:
            while waiting and len(running) < at_once:
                channel, process = _started(made, waiting.pop(0))
                running[channel] = process
            ready = connection.wait(list(running))
            for channel in [one for one in running if one in ready]:
                _listen(channel, running, watch)
    finally:
        end(running)


def end(running: Mapping[Connection, BaseProcess]) -> None:
    """Ask processes to end, and wait until they have kept their checkpoints and ended.

    Their last messages are read and dropped: a process whose channel is full or closed
    would not reach its checkpoint.

    Args:
        running: each process under the channel that it writes to; channels are closed.
    """
    for process in running.values():
        process.terminate()
    told = set(running)
    while told:
        for channel in told.intersection(connection.wait(told)):
            try:
                channel.recv_bytes()
            except (EOFError, OSError):  # in the middle of a message, too
                told.remove(channel)
    for channel, process in running.items():
        process.join()
        channel.close()


def context(preload: Collection[str]) -> BaseContext:
    """The starter of processes of one thread that share these imported modules."""
    one_thread()
    servers = "forkserver" in multiprocessing.get_all_start_methods()
    context = multiprocessing.get_context("forkserver" if servers else "spawn")
    context.set_forkserver_preload(sorted(preload))
    _keep_sockets_short()
    return context


def one_thread() -> None:
    """Let processes that this one starts compute in one thread."""
    for variable in THREAD_VARIABLES:
        os.environ[variable] = "1"


def _keep_sockets_short() -> None:
    """Let sockets lie in a short folder: their paths may have 104 to 108 characters."""
    if len(os.fsencode(tempfile.gettempdir())) <= LONGEST_FOLDER:
        return
    usual = tempfile.tempdir
    writable = (folder for folder in SHORT_FOLDERS if os.access(folder, os.W_OK))
    tempfile.tempdir = next(writable, usual)
    try:
        util.get_temp_dir()  # made once, and used for all sockets of this process
    finally:
        tempfile.tempdir = usual


def _started(context: BaseContext, work: Work) -> tuple[Connection, BaseProcess]:
    ours, theirs = context.Pipe(duplex=False)
    life = (work, theirs, user_failures.claimed())
    process: BaseProcess = context.Process(target=_main, args=life)  # type: ignore[attr-defined]
    begin(process)
    theirs.close()
    return ours, process


def begin(process: BaseProcess) -> None:
    """Start a process.

    Raises:
        WorkerError: if the server that forks it is gone.
    """
    try:
        process.start()
    except (EOFError, ConnectionError):
        raise WorkerError(how_it_ended(_SERVER_GONE)) from None


def _listen(
    channel: Connection,
    running: dict[Connection, BaseProcess],
    watch: Tell,
) -> None:
    """Pass on one message; at the end of a worker, look how it ended."""
    try:
        message = channel.recv()
    except EOFError:
        process = running.pop(channel)
        process.join()
        if process.exitcode:
            crashed = -process.exitcode in CRASHES
            kind = CrashError if crashed else WorkerError
            raise kind(how_it_ended(process.exitcode)) from None
        return
    if isinstance(message, Report | Notice):
        watch(message)
    else:
        raise WorkerError(str(message))


_SERVER_GONE = 255
"""the exit code of a process whose end the forkserver did not live to tell"""


def how_it_ended(exitcode: int) -> str:
    """One line about a process that has not done its work."""
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


def _main(work: Work, channel: Connection, of_user: Sequence[str]) -> None:
    """The life of a worker process.

    Args:
        work: to do.
        channel: where reports go.
        of_user: functions of the user's, whose failures are theirs.
    """
    user_failures.claim(of_user)
    stopping: list[int] = []
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda number, _: stopping.append(number))
    lifeline.end_with_parent()
    try:
        work.run(channel.send, lambda: bool(stopping))
    except InterruptedTraining:
        pass
    except Exception as error:
        line = exits.expected(error)
        if line is None:
            error.add_note(exits.REPORT)
            sys.stderr.write(redacted(traceback.format_exc()))
            sys.exit(1)
        channel.send(line)
