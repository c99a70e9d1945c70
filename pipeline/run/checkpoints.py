"""Keep checkpoints, from which a killed training goes on bit for bit.

They lie in ``.lt/checkpoints/<instance>/<unit>/``.

A unit is what one worker trains: one seed, or a group of seeds in a batched engine. Its
folder is named by a digest of everything that decides the result (start weights, mask,
settings, data, code, torch, kind of CPU), so that no training goes on from another
one's checkpoint. Git and DVC ignore the folder; a stage removes it when it ends.
"""

import fcntl
import hashlib
import json
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from pipeline.artifacts import files
from pipeline.core.digests import digest
from pipeline.core.training.engine import Job
from pipeline.core.training.results import Snapshot, pack, unpack

FOLDER = Path(".lt/checkpoints")
CODE = (Path("pipeline/core"), Path("pipeline/engines"))
"""folders whose code decides what a training does"""


class InterruptedTraining(Exception):  # noqa: N818 - it is not an error
    """The work was asked to stop; a checkpoint has been kept."""


def unit_digest(jobs: list[Job], *, engine: str, data: str, host: str) -> str:
    """A name for a training: two trainings share it exactly if they share their result.

    Args:
        jobs: the lanes of one engine.
        engine: name of the engine.
        data: digest of the data set.
        host: what of machine and libraries decides the bits.
    """
    facts = {
        "engine": engine,
        "data": data,
        "host": host,
        "code": code_digest(),
        "lanes": [
            {
                "network": repr(job.network),
                "start": digest(job.start),
                "mask": digest(job.mask),
                "settings": asdict(job.settings),
                "seed": job.seed,
                "round": job.round,
                "copy": job.copy,
                "first_step": job.first_step,
                "last_step": job.last_step,
                "rule": repr(job.rule),
            }
            for job in jobs
        ],
    }
    text = json.dumps(facts, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:20]


@contextmanager
def opened(key: str, unit: str, name: str, stop: Callable[[], bool]) -> Iterator[Path]:
    """The folder of a unit, locked: if two processes run one training, the second waits.

    Folders of the same unit under another digest answer an older question and go.

    Args:
        key: of the stage instance.
        unit: which seeds.
        name: digest of the unit.
        stop: asked while waiting for the lock.

    Raises:
        InterruptedTraining: if ``stop`` says so while another process holds the lock.
    """
    base = FOLDER / key
    folder = base / f"{unit}-{name}"
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        while not _acquired(lock.fileno()):
            if stop():
                raise InterruptedTraining
            time.sleep(0.1)
        for other in base.glob(f"{unit}-*"):
            if other != folder:
                shutil.rmtree(other, ignore_errors=True)
        yield folder


def save(folder: Path, snapshot: Snapshot, *, seconds: float) -> None:
    """Keep a snapshot, and how long the training has taken up to it."""
    files.save_arrays(folder / "snapshot.safetensors", pack(snapshot), seconds=seconds)


def load(folder: Path) -> tuple[Snapshot | None, float]:
    """The last snapshot of a unit and its seconds; (None, 0) where there is none."""
    path = folder / "snapshot.safetensors"
    if not path.exists():
        return None, 0.0
    snapshot = unpack(files.load_arrays(path))
    return snapshot, float(files.load_facts(path)["seconds"])


def finish(folder: Path, seed: int, facts: dict[str, Any]) -> None:
    """Mark a seed as finished; its arrays were written before."""
    files.save_json(folder / f"s{seed}.json", facts)


def finished(folder: Path, seed: int) -> dict[str, Any] | None:
    """The facts of a finished seed, or None."""
    path = folder / f"s{seed}.json"
    return files.load_json(path) if path.exists() else None


def remove(key: str) -> None:
    """Forget the checkpoints of an instance whose artifacts are written."""
    shutil.rmtree(FOLDER / key, ignore_errors=True)


def _acquired(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def code_digest() -> str:
    """The SHA-256 of all code that decides what a training does."""
    files = sorted(path for folder in CODE for path in folder.rglob("*.py"))
    content = hashlib.sha256()
    for path in files:
        content.update(f"{path}\0".encode() + path.read_bytes())
    return content.hexdigest()
