"""Run pieces of work in processes of this machine that live for a whole run.

Each is forked once, from a server that has imported what they need, and then does one
piece of work after another. So libraries are imported and kernels are loaded once.
"""

import signal
from collections.abc import Collection, Iterable
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import Self

from pipeline.run.executors import lifeline, processes
from pipeline.run.executors.executor import Ended, Told, ended_by
from pipeline.run.executors.processes import InterruptedTraining, Work

NO_MORE = None
"""sent to a process that gets no more work"""


@dataclass(kw_only=True, slots=True)
class _Worker:
    """A process, and what it does."""

    channel: Connection
    process: BaseProcess
    work: str = ""
    """the name of its work; empty while it waits for some"""


class WarmWorkers:
    """As many processes as works may run side by side; they begin with their first work."""

    def __init__(self, num: int, preload: Iterable[str]) -> None:
        """Prepare the server.

        Args:
            num: of processes.
            preload: modules that are imported once for all of them.
        """
        self._num = num
        self._context = processes.context({*preload, __name__})
        self._workers: list[_Worker] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for worker in self._workers:
            # After a signal, a process that waits for work reads on.
            with suppress(ConnectionError):
                worker.channel.send(NO_MORE)
        processes.end({worker.channel: worker.process for worker in self._workers})

    @property
    def free(self) -> int:
        """How many pieces of work may be begun now."""
        return self._num - sum(bool(worker.work) for worker in self._workers)

    def begin(self, name: str, work: Work) -> None:
        """Give a piece of work to a process that waits, or to a new one.

        Raises:
            WorkerError: if the server that starts processes is gone.
        """
        waiting = [worker for worker in self._workers if not worker.work]
        worker = waiting[0] if waiting else self._hired()
        worker.work = name
        # A process that died while it waited is found by ``wait``.
        with suppress(BrokenPipeError, ConnectionError):
            worker.channel.send(work)

    @property
    def channels(self) -> list[Connection]:
        """One per process."""
        return [worker.channel for worker in self._workers]

    def told(self, ready: Collection[object]) -> Iterable[Told]:
        """The messages of works, and which processes have ended."""
        for worker in [one for one in self._workers if one.channel in ready]:
            name = worker.work
            try:
                told = worker.channel.recv()
            except (EOFError, ConnectionError):
                told = self._vanished(worker)
            if isinstance(told, Ended):
                worker.work = ""
            if name:
                yield name, told

    def _hired(self) -> _Worker:
        ours, theirs = self._context.Pipe()
        process: BaseProcess = self._context.Process(target=_main, args=(theirs,))  # type: ignore[attr-defined]
        processes.begin(process)
        theirs.close()
        worker = _Worker(channel=ours, process=process)
        self._workers.append(worker)
        return worker

    def _vanished(self, worker: _Worker) -> Ended:
        self._workers.remove(worker)
        worker.channel.close()
        worker.process.join()
        return Ended(processes.how_it_ended(worker.process.exitcode or 0), vanished=True)


def _main(channel: Connection) -> None:
    """The life of a worker process."""
    stopping: list[int] = []
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda number, _: stopping.append(number))
    lifeline.end_with_parent()
    with suppress(EOFError, BrokenPipeError, ConnectionError, InterruptedTraining):
        while not stopping and (work := channel.recv()) is not NO_MORE:
            channel.send(_done(work, channel, stopping))


def _done(work: Work, channel: Connection, stopping: list[int]) -> Ended:
    try:
        work.run(channel.send, lambda: bool(stopping))
    except (InterruptedTraining, BrokenPipeError, ConnectionError):
        raise
    except Exception as error:
        return ended_by(error)
    return Ended()


def opened(address: str, num: int, preload: Iterable[str]) -> WarmWorkers:  # noqa: ARG001
    """The processes of this machine, which have no address."""
    return WarmWorkers(num, preload)
