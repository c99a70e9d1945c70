"""Run one stage instance as a process of its own: one at a time, and no longer than dvc.

DVC lets two ``dvc repro`` work in one folder, and a killed one may leave its stage behind.
So every instance has a lock in ``.lt/locks/``, which its process holds from the first read
to the last deletion. The system opens it when the process ends, however that happens.
"""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from pipeline.artifacts import paths
from pipeline.border import exits, locks, notes
from pipeline.border.errors import UserError
from pipeline.config import params
from pipeline.plan import fingerprints, items
from pipeline.plan.kinds import INPUTS, KINDS
from pipeline.run import live
from pipeline.run.executors import lifeline


class EditedError(UserError):
    """Settings or code were edited after this run began; one line that says which."""


def run_keyed(kind: str, work: Callable[[str], None]) -> None:
    """Run the instance whose key stands on the command line, and nothing beside it."""
    with _as_stage():
        key = items.key_in(sys.argv)
        with held(f"{kind}@{key}"):
            _refuse_edited(kind, key)
            work(key)
    if {"results", "lines"} & set(KINDS[kind].writes):
        live.start(lifeline.dvc())


def run_single(stage: str, work: Callable[[], None]) -> None:
    """Run a stage that has one instance only, and no key."""
    with _as_stage(), held(stage):
        work()


@contextmanager
def held(stage: str, folder: Path = paths.LOCKS) -> Iterator[None]:
    """Hold the lock of a stage instance; if another process holds it, wait."""

    def say(process: str) -> None:
        notes.say(f"{stage}: process {process} still works on it; waiting for its end")

    with locks.held(paths.lock_file(stage, folder), say):
        yield


def _refuse_edited(kind: str, key: str) -> None:
    """Stop where settings or code were edited after the run began.

    DVC would record the result under those that stage ``plan`` wrote into the inputs file
    when the run began.

    Raises:
        EditedError: with one line.
    """
    item = items.find(kind, key, params.load())
    inputs, decided = item.path(INPUTS), fingerprints.decided_by(item)
    if not inputs.exists():  # DVC runs no stage without it
        return
    found = fingerprints.changed_since(inputs, decided, params.resolved())
    if found:
        more = f" and {len(found) - 1} more" if len(found) > 1 else ""
        raise EditedError(
            f"{item.stage}: {found[0]}{more} changed after this run began; "
            "`lt-pipeline run` goes on with the present ones"
        )


@contextmanager
def _as_stage() -> Iterator[None]:
    with exits.one_line_errors():
        lifeline.interrupt_when_gone()
        yield
