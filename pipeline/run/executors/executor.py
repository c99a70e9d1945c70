"""An executor runs pieces of work for a whole plan: one interface for all machines.

An executor knows neither DVC nor MLflow nor what a piece of work is. Whatever becomes of
it, nothing finished is lost: works leave their results in files.
"""

import sys
import traceback
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass
from multiprocessing import connection
from multiprocessing.connection import Connection
from typing import Protocol, Self, TypeVar

from pipeline.border import exits, user_failures
from pipeline.border.redaction import redacted
from pipeline.run.executors import processes
from pipeline.run.executors.processes import Notice, Report, Work

LONGEST_LINE = 200
"""characters of one line about an error"""


@dataclass(frozen=True, slots=True)
class Ended:
    """A piece of work has ended."""

    error: str = ""
    """one line that says why it failed; empty where it did what it was to do"""
    vanished: bool = False
    """whether its process or machine ended in the middle: it may be done elsewhere"""


Told = tuple[str, Report | Notice | Ended]
"""the name of a piece of work, and what it tells"""
WorkT = TypeVar("WorkT", bound=Work, contravariant=True)


class Teller(Protocol):
    """Tells of works that run."""

    @property
    def channels(self) -> Collection[Connection]:
        """Where something can be read as soon as there is something to tell."""

    def told(self, ready: Collection[object]) -> Iterable[Told]:
        """The messages of works, now that these channels can be read.

        Raises:
            UserError: if nothing can be run any more; with one line.
        """


class Executor(Teller, Protocol[WorkT]):
    """Runs pieces of work side by side; a context, whose end stops what still runs."""

    @property
    def free(self) -> int:
        """How many pieces of work may be begun now."""

    def begin(self, name: str, work: WorkT) -> None:
        """Begin a piece of work, which is picklable; it is told of by this name.

        Raises:
            UserError: if it cannot be begun; with one line.
        """

    def __enter__(self) -> Self: ...

    def __exit__(self, *_: object) -> None: ...


def wait(*tellers: Teller) -> Iterator[Told]:
    """Wait until some work of these executors tells something."""
    channels = {one for teller in tellers for one in teller.channels}
    ready = connection.wait(channels) if channels else []
    for teller in dict.fromkeys(tellers):
        yield from teller.told(ready)


def ended_by(error: Exception) -> Ended:
    """The message about a work that raised an error; a fault of ours is shown whole."""
    line = exits.expected(error)
    if line is None:
        sys.stderr.write(_whole(error))
        line = processes.how_it_ended(1)
    return Ended(line)


def ended_elsewhere(error: Exception, tell: Callable[[Notice], None]) -> Ended:
    """The message about a work that raised an error on another machine.

    Nobody reads stderr there, so that a fault of ours is told whole.

    Args:
        error: that the work raised.
        tell: takes what the user has to see.
    """
    line = exits.expected(error)
    if line is None:
        tell(Notice(_whole(error)))
        line = redacted(user_failures.said(error)[:LONGEST_LINE])
    return Ended(line)


def _whole(error: Exception) -> str:
    error.add_note(exits.REPORT)
    return redacted("".join(traceback.format_exception(error)))
