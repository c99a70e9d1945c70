"""Show how far a stage is: live bars on a terminal, plain lines in a pipe."""

import sys
import time
from types import TracebackType
from typing import Protocol, Self

from pipeline.border import notes
from pipeline.run.executors.processes import Notice, Report

LINE_S = 10.0
"""seconds between two plain lines of one seed"""


class Shown(Protocol):
    """One of the two displays."""

    def show(self, report: Report) -> None:
        """Take in how far a training is."""

    def say(self, line: str) -> None:
        """Print a line."""

    def close(self) -> None:
        """End."""


class Display:
    """Shows the seeds of one stage instance; a context."""

    def __init__(
        self,
        title: str,
        seeds: tuple[int, ...],
        copies: tuple[str, ...] = ("",),
        *,
        place: str = "",
    ) -> None:
        """Begin to show.

        Args:
            title: of the instance.
            seeds: that it trains.
            copies: names of the trainings of each seed; one empty name if it has one.
            place: of its trainings among all, which is said once; or empty.
        """
        self._said: set[str] = set()
        self._shown: Shown = _Plain(title)
        if sys.stderr.isatty():
            from pipeline.run.bars import Bars  # rich takes a while to import

            self._shown = Bars([(copy, seed) for copy in copies for seed in seeds])
            self._shown.say(f"{title} ({place})" if place else title)
        elif place:
            self._shown.say(f"{title}: {place}")

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
        if not isinstance(told, Notice):
            self._shown.show(told)
        elif told.text not in self._said:  # each worker tells it
            self._said.add(told.text)
            self._shown.say(told.text)


class _Plain:
    """A line now and then, and one when a seed has ended."""

    def __init__(self, title: str) -> None:
        self._title = title
        self._last: dict[str, float] = {}
        self._first: dict[str, tuple[float, int]] = {}
        """time and step of a training's first report: it may have waited for a worker"""

    def show(self, report: Report) -> None:
        now = time.monotonic()
        training = f"{self._title} {name(report.copy, report.seed)}"
        if report.resumed:
            self._first[training] = now, report.step
            self.say(f"{training}: goes on at step {report.step:,}")
            return
        begin, first = self._first.setdefault(training, (now, report.step))
        since = now - self._last.setdefault(training, begin)
        if since < LINE_S and report.step < report.total_steps:
            return
        self._last[training] = now
        done = max(report.step - first, 1)
        left = (now - begin) * (report.total_steps - report.step) / done
        self.say(
            f"{training}: step {report.step:,} of {report.total_steps:,}, validation "
            f"accuracy {100 * report.accuracy:.1f} %, about {left:.0f} s left"
        )

    def say(self, line: str) -> None:
        notes.say(line)

    def close(self) -> None:
        pass


def name(copy: str, seed: int) -> str:
    """The name of a training within its instance.

    >>> name("", 1)
    'seed 1'
    """
    return f"{copy} seed {seed}" if copy else f"seed {seed}"
