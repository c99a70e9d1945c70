"""Plan and run an experiment: ``lt-pipeline run`` is the plan, then ``dvc repro``."""

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from pipeline.border import interrupts
from pipeline.border.root import safe_path
from pipeline.plan import fingerprints
from pipeline.plan.current import Standing


def run(found: Standing, arguments: Sequence[str]) -> NoReturn:
    """Let dvc make what is not current.

    Args:
        found: how the results stand.
        arguments: of ``dvc repro``.
    """
    fingerprints.clear_outdated(found.inputs)
    become_dvc(["repro", *arguments])


def become_dvc(arguments: Sequence[str]) -> NoReturn:
    """Replace this process by dvc, so that signals and exit codes are dvc's own.

    Args:
        arguments: of dvc, such as ``["repro", "--pull"]``.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    interrupts.hold_back()
    command = [sys.executable, *safe_path(Path()), "-m", "pipeline.launch.dvc", *arguments]
    os.execv(sys.executable, command)
