"""Show on a terminal how far the trainings of a stage are, each by a bar."""

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
)

from pipeline.run.executors.processes import Report
from pipeline.run.progress import name


class Bars:
    """One bar per seed, with accuracy and time left."""

    def __init__(self, rows: list[tuple[str, int]]) -> None:
        self._bars = Progress(
            TextColumn("[bold]{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[accuracy]}"),
            TimeRemainingColumn(),
            console=Console(stderr=True),
        )
        self._rows = {
            row: self._bars.add_task(name(*row), accuracy="", total=None) for row in rows
        }
        self._bars.start()

    def show(self, report: Report) -> None:
        """Move a bar."""
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
        """Print a line above the bars."""
        self._bars.console.print(line, markup=False, highlight=False, soft_wrap=True)

    def close(self) -> None:
        """Leave the bars as they are."""
        self._bars.stop()
