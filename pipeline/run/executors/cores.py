"""Count the cores for trainings; experiments of DVC that run side by side share them.

``dvc queue start -j 2`` runs two experiments in folders below ``.dvc/tmp/exps``, and
neither knows of the other. So each takes its share of the cores, by the folders in which
processes work at the moment.
"""

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psutil

EXPERIMENTS = (".dvc", "tmp", "exps")


def available_cores() -> int:
    """Cores that this process may use now, beside the experiments that run with it."""
    return max(1, of_process() // experiments_beside(Path.cwd()))


def of_process() -> int:
    """Cores that the system lets this process use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1  # macOS binds no process to cores


def experiments_beside(here: Path) -> int:
    """How many of DVC's experiments run now, with the one in this folder; else 1."""
    parts = here.resolve().parts
    for i in range(len(parts) - len(EXPERIMENTS)):
        if parts[i : i + len(EXPERIMENTS)] == EXPERIMENTS:
            exps = Path(*parts[: i + len(EXPERIMENTS)])
            clones = {_clone(one.relative_to(exps)) for one in _folders_of_work(exps)}
            return len(clones | {_clone(here.resolve().relative_to(exps))})
    return 1


def _clone(below: Path) -> tuple[str, ...]:
    """The folder of one experiment: ``tmpabc`` or ``standalone/tmpabc``."""
    return below.parts[: 2 if below.parts[0] == "standalone" else 1]


def _folders_of_work(exps: Path) -> Iterator[Path]:
    """The folders below this one in which processes work."""
    for process in psutil.process_iter():
        with suppress(psutil.Error, OSError):
            folder = Path(process.cwd())
            if exps in folder.parents:
                yield folder
