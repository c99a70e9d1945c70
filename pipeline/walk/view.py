"""Show how far a walk is: one bar on a terminal, a line per training in a pipe."""

import sys
import time
from typing import TYPE_CHECKING, Self

from pipeline.border import notes
from pipeline.run.executors.processes import Notice, Report

if TYPE_CHECKING:
    from rich.progress import Progress


class View:
    """Shows a walk; a context."""

    def __init__(self, num_trainings: int) -> None:
        """Begin to count.

        Args:
            num_trainings: of the walk.
        """
        self._total = num_trainings
        self._done = 0
        self._accuracy: dict[str, float] = {}
        self._said: set[str] = set()
        self._began = time.monotonic()
        self._bar: Progress | None = None

    def __enter__(self) -> Self:
        if sys.stderr.isatty():
            from rich.console import Console
            from rich.progress import Progress  # takes a while to import

            self._bar = Progress(console=Console(stderr=True))
            self._bar.add_task("trainings", total=self._total)
            self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.stop()
        seconds = time.monotonic() - self._began
        if self._done:
            self.say(f"{self._done} of {self._total} trainings are done, {seconds:.0f} s")

    def show(self, name: str, told: Report | Notice) -> None:
        """Take in what a worker tells."""
        if isinstance(told, Report):
            self._accuracy[name] = told.accuracy
        elif told.text not in self._said:  # each worker tells it
            self._said.add(told.text)
            self.say(told.text)

    def finished(self, name: str) -> None:
        """Count a training."""
        self._done += 1
        if self._bar is not None:
            self._bar.update(self._bar.task_ids[0], completed=self._done)
            return
        accuracy = self._accuracy.get(name)
        how = "was kept" if accuracy is None else f"validation {100 * accuracy:.1f} %"
        self.say(f"training {self._done} of {self._total}: {name}, {how}")

    def say(self, line: str) -> None:
        """Print a line, above the bar if there is one."""
        if self._bar is not None:
            self._bar.console.print(line, markup=False, highlight=False, soft_wrap=True)
        else:
            notes.say(line)
