"""The files of a finished seed, as a worker leaves them among the checkpoints."""

import glob
import hashlib
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.artifacts import files, parquet, paths
from pipeline.artifacts.files import ArtifactError
from pipeline.core import masks
from pipeline.core.training.engine import Job
from pipeline.core.training.facts import cost_facts, curve_rows, facts
from pipeline.core.training.results import Trained
from pipeline.run import checkpoints, machines


@dataclass(frozen=True, kw_only=True, slots=True)
class Finished:
    """One finished training."""

    copy: int | str
    seed: int
    engine: str
    """which trained it"""
    folder: Path
    """folder of its weights, mask and curves"""
    facts: dict[str, Any]
    timing: dict[str, Any]
    machine: dict[str, Any]
    """what trained it: host, processor, versions, numerics class"""

    @property
    def name(self) -> str:
        """The digest of all that decides it except the machine."""
        return self.folder.name.split("-")[-2]

    @property
    def numerics(self) -> str:
        """The class of the machine that trained it."""
        return self.folder.name.rpartition("-")[2]

    @property
    def is_from_elsewhere(self) -> bool:
        """Whether another machine trained it, or one that computes other bits."""
        return self.machine != _here(self.numerics)


def find(
    key: str, unit: str, name: str, *, copy: int | str, seed: int, engine: str
) -> Finished:
    """The files that a worker has left of a finished seed, in whatever numerics class.

    The name decides: an interrupted run may have left a folder of the same seed with other
    settings.

    Args:
        key: of the trainings among the checkpoints.
        unit: which seeds were trained together.
        name: digest of all that decides the unit's result except the machine.
        copy: its data order.
        seed: one of its seeds.
        engine: that trained it.

    Raises:
        ArtifactError: if it is gone, or has another name.
    """
    base, all_units = checkpoints.FOLDER / key, glob.escape(unit)
    named = sorted(base.glob(f"{all_units}-{name}-*/s{seed}.json"))
    for path in named:
        with suppress(checkpoints.LostCheckpoint):
            if left := checkpoints.finished(path.parent, seed):
                folder = path.parent
                return Finished(copy=copy, seed=seed, engine=engine, folder=folder, **left)
    if not named and any(base.glob(f"{all_units}-*/s{seed}.json")):
        raise ArtifactError(
            f"seed {seed} was trained, and code or settings changed meanwhile; "
            "`lt-pipeline run` goes on with what holds now"
        )
    raise ArtifactError(
        f"the finished training of seed {seed} is gone from {base}; run `dvc repro` again, "
        "and leave that folder alone meanwhile"
    )


def prefix(copies: tuple[int | str, ...], copy: int | str) -> str:
    """The beginning of the names of a copy's units; empty if there is only one copy."""
    return f"c{copies.index(copy)}-" if len(copies) > 1 else ""


def code() -> str:
    """The hash of this file: it decides what is left, too."""
    return hashlib.sha256(Path(__file__).read_bytes()).hexdigest()


@dataclass(frozen=True, kw_only=True, slots=True)
class Noted:
    """The notes on a training beside its result."""

    test_accuracy: float
    """by the task's metric"""
    seconds: float
    """that it took"""
    own: bool
    """whether network or data are the user's own, so that no setting tells costs"""
    numerics: str
    """class of the machine"""


def leave(folder: Path, job: Job, trained: Trained, noted: Noted) -> None:
    """Write one finished seed into the checkpoint folder, its facts last.

    Args:
        folder: of the checkpoint.
        job: what was trained.
        trained: its result.
        noted: of it.
    """
    seed = job.seed
    arrays = paths.seed_file
    weights, mask = arrays(folder, seed, "weights"), arrays(folder, seed, "mask")
    curves = folder / f"s{seed}.parquet"
    written = [weights, mask, curves]
    if trained.scores is not None:
        written.append(arrays(folder, seed, "scores"))
    for path in written:
        checkpoints.free(path)
    if trained.scores is not None:
        files.save_arrays(arrays(folder, seed, "scores"), trained.scores)
    files.save_arrays(weights, trained.weights)
    files.save_arrays(mask, trained.mask, density=masks.density(trained.mask))
    parquet.save_curves(curves, curve_rows(seed, trained))
    timing = {
        "seconds": noted.seconds,
        "steps_per_s": (trained.end.step - job.first_step) / max(noted.seconds, 1e-9),
    }
    found = facts(job, trained, noted.test_accuracy)
    found |= cost_facts(job) if noted.own else {}
    left = {"facts": found, "timing": timing, "machine": _here(noted.numerics)}
    checkpoints.finish(folder, seed, left, written)


def _here(numerics: str) -> dict[str, Any]:
    return machines.machine() | {"numerics": numerics}
