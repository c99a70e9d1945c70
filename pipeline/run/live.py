"""Start the process that writes finished rounds into the store while dvc goes on.

It is ``pipeline/tracking/live.py``, which ends with dvc. This module only starts it, so
that a stage pays for no import of MLflow, and warns once per dvc of what failed there.
"""

import os
import subprocess
import sys
from pathlib import Path

from pipeline.artifacts.paths import LIVE, LIVE_LOCK, live_failure
from pipeline.border import notes
from pipeline.border.locks import lock
from pipeline.border.root import safe_path

SWITCH = "LT_LIVE_TRACKING"
"""the environment variable that turns it off: with the value ``off``"""


def is_on() -> bool:
    """Whether it is not turned off."""
    return os.environ.get(SWITCH) != "off"


def start(dvc: int | None) -> subprocess.Popen[bytes] | None:
    """Start it, unless it runs, is turned off, or has failed before in this run of dvc.

    Args:
        dvc: the number of its process, or of a walk's that becomes dvc; None where a stage
            was started by hand.

    Returns:
        The process, if one was started. Nobody has to wait for it.
    """
    if dvc is None or not is_on():
        return None
    failed = live_failure(dvc)
    if failed.exists():
        _warn(failed)
        return None
    LIVE.mkdir(parents=True, exist_ok=True)
    with LIVE_LOCK.open("a+") as opened:
        try:
            lock(opened, wait=False)
        except BlockingIOError:
            return None
    with (LIVE / "log.txt").open("w") as log:
        # Streams of its own: who reads dvc's output would else wait for its end.
        return subprocess.Popen(
            [sys.executable, *safe_path(Path()), "-m", "pipeline.tracking.live", str(dvc)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )


def _warn(failed: Path) -> None:
    lines = failed.read_text(encoding="utf-8").splitlines()
    if lines:
        notes.warn(
            f"rounds are not written into MLflow as they finish ({lines[-1]}); the stage "
            "track tries again at the end"
        )
        failed.write_text("", encoding="utf-8")
