"""Show how far a stage is: live bars on a terminal, plain lines in a pipe."""

import sys
import time
from types import TracebackType
from typing import Protocol, Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bars

from pipeline.run.executors.processes import Notice, Report

LINE_S = 10.0
"""seconds between two plain lines of one seed"""


class _Shown(Protocol):
    def show(self, report: Report) -> None: ...
    def say(self, line: str) -> None: ...
    def close(self) -> None: ...


class Display:
    """Shows the seeds of one stage instance; a context."""

    def __init__(
        self, title: str, seeds: tuple[int, ...], copies: tuple[str, ...] = ("",)
    ) -> None:
        rows = [(copy, seed) for copy in copies for seed in seeds]
        bars = sys.stderr.isatty()
        self._shown: _Shown = _Live(title, rows) if bars else _Plain(title)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._shown.close()

    def show(self, told: Report | Notice) -> None:
        """Take in what a worker tells."""
        if isinstance(told, Notice):
            self._shown.say(told.text)
        else:
            self._shown.show(told)


class _Live:
    """One bar per seed, with accuracy and time left."""

    def __init__(self, title: str, rows: list[tuple[str, int]]) -> None:
        self._bars = Bars(
            TextColumn("[bold]{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[accuracy]}"),
            TimeRemainingColumn(),
            console=Console(stderr=True),
        )
        self._rows = {
            row: self._bars.add_task(_name(title, *row), accuracy="", total=None)
            for row in rows
        }
        self._bars.start()

    def show(self, report: Report) -> None:
        row = self._rows[report.copy, report.seed]
        if report.resumed:
            self._bars.reset(row)  # time left counts from here
        self._bars.update(
            row,
            completed=report.step,
            total=report.total_steps,
            accuracy=f"{100 * report.accuracy:.1f} %",
        )

    def say(self, line: str) -> None:
        self._bars.console.print(line, markup=False, highlight=False, soft_wrap=True)

    def close(self) -> None:
        self._bars.stop()


class _Plain:
    """A line now and then, and one when a seed has ended."""

    def __init__(self, title: str) -> None:
        self._title = title
        self._last: dict[str, float] = {}
        self._first: dict[str, tuple[float, int]] = {}
        """time and step of a training's first report: it may have waited for a worker"""

    def show(self, report: Report) -> None:
        now = time.monotonic()
        name = _name(self._title, report.copy, report.seed)
        if report.resumed:
            self._first[name] = now, report.step
            self.say(f"{name}: goes on at step {report.step:,}")
            return
        begin, first = self._first.setdefault(name, (now, report.step))
        since = now - self._last.setdefault(name, begin)
        if since < LINE_S and report.step < report.total_steps:
            return
        self._last[name] = now
        done = max(report.step - first, 1)
        left = (now - begin) * (report.total_steps - report.step) / done
        self.say(
            f"{name}: step {report.step:,} of {report.total_steps:,}, validation accuracy "
            f"{100 * report.accuracy:.1f} %, about {left:.0f} s left"
        )

    def say(self, line: str) -> None:
        print(line, file=sys.stderr, flush=True)  # noqa: T201 - the plain display

    def close(self) -> None:
        pass


def _name(title: str, copy: str, seed: int) -> str:
    """The name of a training.

    >>> _name("main/ticket/r01/s0-1", "", 1)
    'main/ticket/r01/s0-1 seed 1'
    """
    return f"{title} {copy} seed {seed}" if copy else f"{title} seed {seed}"
