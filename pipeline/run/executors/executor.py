"""An executor runs pieces of work for a whole plan: one interface for all machines.

An executor knows neither DVC nor MLflow nor what a piece of work is. Whatever becomes of
it, nothing finished is lost: works leave their results in files.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol, Self

from pipeline.run.executors.processes import Notice, Report, Work


@dataclass(frozen=True, slots=True)
class Ended:
    """A piece of work has ended."""

    error: str = ""
    """one line that says why it failed; empty where it did what it was to do"""
    vanished: bool = False
    """whether its process or machine ended in the middle: it may be done elsewhere"""


Told = tuple[str, Report | Notice | Ended]
"""the name of a piece of work, and what it tells"""


class Executor(Protocol):
    """Runs pieces of work side by side; a context, whose end stops what still runs."""

    @property
    def free(self) -> int:
        """How many pieces of work may be begun now."""

    def begin(self, name: str, work: Work) -> None:
        """Begin a piece of work, which is picklable; it is told of by this name."""

    def wait(self) -> Iterable[Told]:
        """Wait until some work tells something."""

    def __enter__(self) -> Self: ...

    def __exit__(self, *_: object) -> None: ...
