"""Write every finished round into the store at once, while `dvc repro` or a walk goes on.

    python -m pipeline.tracking.live PID

A walk and stages start it (``pipeline/run/live.py``), as a process of its own with a lower
priority: importing MLflow takes a second. It looks for new results until the process of
this number is gone, that of dvc, which that of a walk becomes; or until the stage ``track``
ends it, which makes the store whole. Whatever fails here is a warning of the next stage
that finishes a round.
"""

import contextlib
import os
import signal
import sys
import time
import traceback
from pathlib import Path

import psutil

from pipeline.artifacts import contents
from pipeline.artifacts.files import ArtifactError
from pipeline.artifacts.paths import FOLDER, LIVE_LOCK, SHADOW, live_failure, lock_file
from pipeline.border.errors import UserError
from pipeline.border.locks import is_locked, lock
from pipeline.border.redaction import redacted, redacting
from pipeline.config import params
from pipeline.tracking.patience import PATIENCE
from pipeline.tracking.write import asked_by, write

NICE = 5
"""trainings come first; at 19 a round would appear minutes later beside busy cores"""
POLL_S = 1.0
SHARE = 0.1
"""of one core that writing may take: a look at 400 rounds takes 3 s of a processor, even if
most of them are written, and trainings wait for it"""


def follow(dvc: psutil.Process) -> None:
    """Write new results as long as dvc runs."""
    seen: dict[Path, int] = {}
    rest_until = 0.0
    while dvc.is_running() and dvc.status() != psutil.STATUS_ZOMBIE:
        found = _results()
        if found and found != seen and time.monotonic() >= rest_until:
            began, first = time.process_time(), not seen
            PATIENCE.renew()  # nothing waits for this process
            place = _place()
            with contextlib.suppress(ArtifactError):  # dvc or the walk removes them
                write(Path(), None, asked_by(params.load()), live=True, place=place)
                seen = found
            if not first:  # the first writing imports MLflow and makes the store
                rest_until = time.monotonic() + (time.process_time() - began) / SHARE
        time.sleep(POLL_S)


def end(root: Path = Path()) -> None:
    """End the process that writes for this workspace, if there is one."""
    path = root / LIVE_LOCK
    if not path.exists():
        return
    with path.open("r+") as opened:
        try:
            lock(opened, wait=False)
        except BlockingIOError:
            number = opened.read().strip()
            if number.isdecimal():
                os.kill(int(number), signal.SIGTERM)
            lock(opened, wait=True)  # until it has ended


def main(number: int) -> None:
    """Follow the dvc of this process number, alone in the workspace."""
    # Warnings of libraries go into a log.
    with LIVE_LOCK.open("r+") as opened, redacting():
        try:
            lock(opened, wait=False)
        except BlockingIOError:
            return  # another one follows it already
        opened.truncate()
        opened.write(str(os.getpid()))
        opened.flush()
        _give_way()
        try:
            follow(psutil.Process(number))
        except psutil.NoSuchProcess:
            return
        except Exception as error:
            known = isinstance(error, UserError)
            text = str(error) if known else traceback.format_exc()
            live_failure(number).write_text(redacted(text), encoding="utf-8")


def _give_way() -> None:
    """Lower the priority of this process and of its session.

    Linux divides processors among sessions first, where ``autogroup`` is there; ``nice``
    alone counts within one only.
    """
    os.nice(NICE)
    group = Path("/proc/self/autogroup")
    with contextlib.suppress(OSError):
        if group.exists():
            group.write_text(str(NICE), encoding="ascii")


def _place() -> Path:
    """The folder with ``artifacts``: that of the walk, as long as one is going on.

    A killed walk leaves its folder behind, into which nobody writes any more.
    """
    is_walking = (SHADOW / FOLDER).is_dir() and is_locked(lock_file("walk"))
    return SHADOW if is_walking else Path()


def _results() -> dict[Path, int]:
    """Every file that says a result is there, with the time it was written."""
    place = _place()
    found = [
        *contents.result_files(place),
        *contents.line_files(place),
        *contents.approximation_files(place),
    ]
    try:
        return {path: path.stat().st_mtime_ns for path in found}
    except FileNotFoundError:
        return {}  # dvc has just removed one: the next look sees what there is


if __name__ == "__main__":
    main(int(sys.argv[1]))
