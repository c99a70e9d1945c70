"""Pieces of work for worker processes, which import them from here."""

import time
from collections.abc import Callable
from dataclasses import dataclass

from pipeline.run.executors import processes
from pipeline.run.executors.processes import Notice, Tell


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
