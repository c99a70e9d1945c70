"""Pieces of work for worker processes, which import them from here."""

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from pipeline.run.executors import processes
from pipeline.run.executors.processes import InterruptedTraining, Notice, Tell


@dataclass(frozen=True, slots=True)
class Says:
    """Work that says one line."""

    text: str

    def run(self, report: Tell, _stop: Callable[[], bool]) -> None:
        """Say it."""
        report(Notice(self.text))


@dataclass(frozen=True, slots=True)
class Fails:
    """Work that raises an error."""

    error: BaseException

    def run(self, _report: Tell, _stop: Callable[[], bool]) -> None:
        """Raise it."""
        raise self.error


@dataclass(frozen=True, slots=True)
class Compiles:
    """Work that says that it compiles, and then does so for a minute."""

    def run(self, report: Tell, stop: Callable[[], bool]) -> None:
        """Compile."""
        with processes.ending_at_once(stop):
            report(Notice("compiling"))
            time.sleep(60)


@dataclass(frozen=True, slots=True)
class SaysProcess:
    """Work that says the number of its process."""

    def run(self, report: Tell, _stop: Callable[[], bool]) -> None:
        """Say it."""
        report(Notice(str(os.getpid())))


@dataclass(frozen=True, slots=True)
class Killed:
    """Work whose process is ended by a signal."""

    number: int

    def run(self, _report: Tell, _stop: Callable[[], bool]) -> None:
        """End it."""
        os.kill(os.getpid(), self.number)
        time.sleep(60)


@dataclass(frozen=True, slots=True)
class UntilStopped:
    """Work that goes on until it is asked to stop."""

    def run(self, report: Tell, stop: Callable[[], bool]) -> None:
        """Wait."""
        report(Notice("begun"))
        while not stop():
            time.sleep(0.01)
        raise InterruptedTraining


@dataclass(frozen=True, slots=True)
class KeepsCheckpoint:
    """Work that tells how far it is, and keeps a checkpoint when it is asked to stop."""

    checkpoint: Path
    telling: int = 1
    """lines that it tells after it is asked"""

    def run(self, report: Tell, stop: Callable[[], bool]) -> None:
        """Wait, tell, and keep it."""
        report(Notice("begun"))
        while not stop():
            time.sleep(0.01)
        for _ in range(self.telling):
            report(Notice(1000 * "a"))
        self.checkpoint.touch()
        raise InterruptedTraining
