"""Run one stage instance as a process of its own: one at a time, and no longer than dvc.

DVC lets two ``dvc repro`` work in one folder, and a killed one may leave its stage behind.
So every instance has a lock in ``.lt/locks/``, which its process holds from the first read
to the last deletion. The system opens it when the process ends, however that happens.
"""

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from pipeline.artifacts import paths
from pipeline.border import exits
from pipeline.border.errors import UserError
from pipeline.border.locks import lock
from pipeline.config import params
from pipeline.plan import fingerprints, items
from pipeline.plan.kinds import INPUTS, KINDS
from pipeline.run import live
from pipeline.run.executors import lifeline


class EditedError(UserError):
    """Settings or code are not those that this run began with; one line that says which."""


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
    """Hold the lock of a stage instance; if another process holds it, wait.

    The file stays, since a lock on a deleted file would lock nobody out.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with paths.lock_file(stage, folder).open("a+") as opened:
        try:
            lock(opened, wait=False)
        except BlockingIOError:
            opened.seek(0)
            print(  # noqa: T201
                f"{stage}: process {opened.read().strip() or '?'} still works on it; "
                "waiting for its end",
                file=sys.stderr,
                flush=True,
            )
            lock(opened, wait=True)
        opened.truncate(0)
        opened.write(str(os.getpid()))
        opened.flush()
        yield


def _refuse_edited(kind: str, key: str) -> None:
    """Refuse what DVC would record under other settings or code than it is made with.

    DVC knows them from the file that stage ``plan`` wrote when the run began.

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
            "`lt-pipeline run` goes on with what holds now"
        )


@contextmanager
def _as_stage() -> Iterator[None]:
    with exits.one_line_errors():
        lifeline.interrupt_when_gone()
        yield
