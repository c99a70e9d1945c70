"""Keep checkpoints, from which a killed training goes on bit for bit.

They lie in ``.lt/checkpoints/<instance>/<unit>/``.

A unit is what one worker trains: one seed, or a group of seeds in a batched engine. Its
folder is named by a digest of everything that decides the result (start weights, mask,
settings, data, code, torch, kind of CPU), so that no training goes on from another
one's checkpoint. Git and DVC ignore the folder; a stage removes it when it ends.

A checkpoint saves time and decides nothing. So each carries a digest of its own content,
and a damaged one means that its training begins anew.
"""

import hashlib
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict
from functools import cache
from pathlib import Path
from typing import Any

from safetensors import SafetensorError

from pipeline.artifacts import files
from pipeline.border import user_code
from pipeline.border.errors import UserError
from pipeline.border.root import code_root
from pipeline.core.digests import digest
from pipeline.core.functions import function_in, is_function
from pipeline.core.training.engine import Job
from pipeline.core.training.results import Snapshot, pack, unpack

FOLDER = Path(".lt/checkpoints")
SNAPSHOT = "snapshot.safetensors"
CODE = (Path("pipeline/core"), Path("pipeline/engines"))
"""folders whose code decides what a training does"""


class LostCheckpoint(Exception):  # noqa: N818 - it costs time, and nothing else
    """A checkpoint cannot be used, or not be written; one line that says which."""


def unit_digest(
    jobs: list[Job], *, engine: str, data: str, host: str, rule_origin: str | None = None
) -> str:
    """A name for a training: two trainings share it exactly if they share their result.

    Args:
        jobs: the lanes of one engine; their data may be without examples.
        engine: name of the engine.
        data: digest of the arrays of the data set.
        host: what else decides the result: machine, libraries, what is noted of it.
        rule_origin: what the rules were made from; None = their text tells them apart.
    """
    facts = {
        "engine": engine,
        "data": data,
        "host": host,
        "code": code_digest(),
        "lanes": [
            {
                "network": repr(job.network),
                "description": repr(job.data.description),
                "start": digest(job.start),
                "mask": digest(job.mask),
                "settings": asdict(job.settings),
                "seed": job.seed,
                "round": job.round,
                "copy": job.copy,
                "first_step": job.first_step,
                "last_step": job.last_step,
                "rule": rule_origin or repr(job.rule),
                "score_rule": rule_origin or repr(job.score_rule),
            }
            for job in jobs
        ],
    }
    if own := own_code(jobs):
        facts["own"] = own
    text = json.dumps(facts, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:20]


def folder_of(key: str, unit: str, name: str) -> Path:
    """The folder of a unit; it is made if it is not there.

    Folders of the same unit under another digest answer an older question and go, and so
    does whatever is no folder and stands in the way.

    Args:
        key: of the stage instance, whose process holds its lock.
        unit: which seeds.
        name: digest of the unit.
    """
    base = FOLDER / key
    folder = base / f"{unit}-{name}"
    for place in (FOLDER, base, folder):
        _make(place)
    for other in base.glob(f"{unit}-*"):
        if other != folder:
            files.remove(other)
    return folder


def save(folder: Path, snapshot: Snapshot, *, seconds: float) -> None:
    """Keep a snapshot, and how long the training has taken up to it.

    Raises:
        LostCheckpoint: if it cannot be written, such as to a full disk.
    """
    arrays = pack(snapshot)
    path = free(folder / SNAPSHOT)
    try:
        files.save_arrays(path, arrays, seconds=seconds, digest=digest(arrays))
    except (UserError, OSError, SafetensorError) as error:
        raise LostCheckpoint(
            f"{path} cannot be written ({' '.join(str(error).split())}); the training goes "
            "on without it"
        ) from None


def load(folder: Path) -> tuple[Snapshot, float] | None:
    """The last snapshot of a unit and its seconds; None where there is none.

    Raises:
        LostCheckpoint: whatever is wrong with it.
    """
    path = folder / SNAPSHOT
    if not path.exists():
        return None
    with _intact(path, "the training begins anew"):
        arrays, facts = files.load_arrays(path), files.load_facts(path)
        if facts["digest"] != digest(arrays):
            raise ValueError("other arrays than were kept")
        return unpack(arrays), float(facts["seconds"])


def finish(folder: Path, seed: int, facts: dict[str, Any], written: Sequence[Path]) -> None:
    """Mark a seed as finished.

    Args:
        folder: of the unit.
        seed: that has finished.
        facts: about it.
        written: the files with its result; they are there.
    """
    kept = {"facts": facts, "files": {path.name: _sha256(path) for path in written}}
    path = folder / f"s{seed}.json"
    files.save_json(free(path), kept | {"digest": _digest_of(kept)})


def finished(folder: Path, seed: int) -> dict[str, Any] | None:
    """The facts of a finished seed, or None.

    Raises:
        LostCheckpoint: if they, or the files with its result, are not what was written.
    """
    path = folder / f"s{seed}.json"
    if not path.exists():
        return None
    with _intact(path, f"seed {seed} is trained again"):
        kept = files.load_json(path)
        if kept.pop("digest") != _digest_of(kept):
            raise ValueError("other facts than were kept")
        for name, sha256 in kept["files"].items():
            if _sha256(folder / name) != sha256:
                raise ValueError(f"{name} has changed")
        facts: dict[str, Any] = kept["facts"]
        return facts


def remove(key: str) -> None:
    """Forget the checkpoints of an instance whose artifacts are written."""
    files.remove(FOLDER / key)


@contextmanager
def _intact(path: Path, so: str) -> Iterator[None]:
    """Whatever goes wrong with a checkpoint means the same: do without it."""
    try:
        yield
    except (UserError, OSError, LookupError, ValueError, TypeError, AttributeError):
        raise LostCheckpoint(f"{path} is damaged; {so}") from None


def _make(folder: Path) -> None:
    """Make a folder, also in a file's place; other workers may do the same meanwhile."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except FileExistsError:
        with suppress(FileNotFoundError, IsADirectoryError):
            folder.unlink()
        folder.mkdir(exist_ok=True)


def free(path: Path) -> Path:
    """The path of a file, where no folder stands in its place any more."""
    if path.is_dir():
        files.remove(path)
    return path


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _digest_of(value: object) -> str:
    return hashlib.sha256(files.json_text(value).encode()).hexdigest()


def own_code(jobs: Sequence[Job]) -> list[str]:
    """The hashes of code of the user's that optimizers and mask rules are made of."""
    optimizers = {job.settings.optimizer for job in jobs}
    modules = {function_in(n).partition(":")[0] for n in optimizers if is_function(n)}
    rules = {type(job.rule).__module__ for job in jobs if job.rule is not None}
    modules |= {name for name in rules if not name.startswith("pipeline.")}
    return [user_code.digest_behind(module) for module in sorted(modules)]


def code_digest() -> str:
    """The SHA-256 of all code that decides what a training does."""
    return _code_digest(code_root(Path()).resolve())


@cache
def _code_digest(base: Path) -> str:
    """Read once per process, as the code that it runs is; a walk asks it per training."""
    files = sorted(path for folder in CODE for path in (base / folder).rglob("*.py"))
    content = hashlib.sha256()
    for path in files:
        content.update(f"{path.relative_to(base)}\0".encode() + path.read_bytes())
    return content.hexdigest()
