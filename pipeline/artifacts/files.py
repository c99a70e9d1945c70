"""Read and write artifacts as safetensors and JSON files.

Files appear atomically: they are written under a temporary name, synced to the disk, and
then renamed. A safetensors file has a single metadata key with sorted JSON, because
several keys would be written in random order.
"""

import errno
import glob
import hashlib
import json
import os
import platform
import re
import shutil
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import load_file, save_file

from pipeline.artifacts.descriptions import INPUT_WORDS, described, description_in
from pipeline.artifacts.paths import seed_file
from pipeline.border.errors import UserError
from pipeline.border.exits import of_system
from pipeline.core.arrays import Mask, Weights
from pipeline.core.batches import Dataset, Split
from pipeline.core.description import Description
from pipeline.core.digests import digest

_HOST = hashlib.sha256(platform.node().encode()).hexdigest()[:6]
"""stands for this machine or container in the names of temporary files"""
LONGEST_WRITE_S = 86_400.0
"""age above which a temporary file of another machine is taken for abandoned"""


class ArtifactError(UserError):
    """An artifact is missing or unreadable; the message says which and what to do."""


@contextmanager
def atomic(path: Path) -> Iterator[Path]:
    """A temporary path that is renamed to ``path`` when the block succeeds.

    Content and name are on the disk when the block ends, whatever happens to the machine
    afterwards.
    """
    with _temporary(path) as temporary:
        yield temporary
        sync(temporary)
        temporary.replace(path)
        sync(path.parent)


@contextmanager
def atomic_folder(path: Path) -> Iterator[Path]:
    """A new folder that replaces ``path`` when the block succeeds; synced like a file."""
    with _temporary(path) as temporary:
        temporary.mkdir()
        yield temporary
        for written in (*temporary.rglob("*"), temporary):
            sync(written)
        remove(path)
        temporary.replace(path)
        sync(path.parent)


@contextmanager
def _temporary(path: Path) -> Iterator[Path]:
    """A free name beside the path; whatever has it in the end is deleted.

    Raises:
        ArtifactError: the path cannot be written, such as to a full disk.
    """
    try:
        yield from _named(path)
    except (OSError, SafetensorError) as error:
        refused = _system_error(error)
        refused.filename = f"{path} cannot be written"
        raise ArtifactError(of_system(refused)) from None


def _named(path: Path) -> Iterator[Path]:
    path.parent.mkdir(parents=True, exist_ok=True)
    # DVC would count the remains of a killed process to the folder above.
    for remains in path.parent.glob(f".{glob.escape(path.name)}.*.tmp"):
        if _is_abandoned(remains):
            remove(remains)
    temporary = path.with_name(f".{path.name}.{_HOST}-{os.getpid()}.tmp")
    try:
        yield temporary
    finally:
        remove(temporary)


def _system_error(error: OSError | SafetensorError) -> OSError:
    """The system's error: safetensors has it as text, such as ``(os error 28)``."""
    if isinstance(error, OSError):
        return error
    found = re.search(r"os error (\d+)", str(error))
    number = int(found[1]) if found else errno.EIO
    return OSError(number, os.strerror(number) if found else str(error))


def _is_abandoned(remains: Path) -> bool:
    """Whether nobody will finish a temporary file.

    This process begins its own only now, so that an older one of its number is abandoned.
    Processes of other machines cannot be seen here: of their files only the age tells.
    """
    host, _, owner = remains.name.split(".")[-2].rpartition("-")
    if host not in ("", _HOST):
        with suppress(FileNotFoundError):
            return time.time() - remains.stat().st_mtime > LONGEST_WRITE_S
        return False
    return owner == str(os.getpid()) or not _runs(owner)


def _runs(pid: str) -> bool:
    import psutil  # 20 ms, for a rare case

    return pid.isdecimal() and psutil.pid_exists(int(pid))


def remove(path: Path) -> None:
    """Delete a file or a folder with all that is in it, if it is there."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def sync(path: Path) -> None:
    """Wait until the content of a file, or the names in a folder, are on the disk."""
    opened = os.open(path, os.O_RDONLY)
    try:
        os.fsync(opened)
    except OSError as error:
        # Some file systems cannot sync folders.
        if not (path.is_dir() and error.errno in (errno.EINVAL, errno.ENOTSUP)):
            raise
    finally:
        os.close(opened)


def copy(source: Path, target: Path) -> None:
    """Copy one finished file byte for byte."""
    shutil.copyfile(source, target)


def save_json(path: Path, value: object) -> None:
    """Write sorted, indented JSON; NaN and infinity become null."""
    text = json_text(value)
    with atomic(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def json_text(value: object) -> str:
    """The text of a JSON file with this value."""
    text = json.dumps(_finite(value), indent=2, sort_keys=True, allow_nan=False)
    return text + "\n"


def load_json(path: Path) -> Any:  # noqa: ANN401 - JSON is any value
    """Read one JSON file."""
    with readable(path):
        return json.loads(path.read_text(encoding="utf-8"))


def save_arrays(path: Path, arrays: Mapping[str, NDArray[Any]], **facts: object) -> None:
    """Write named arrays, with facts about them (hashes, densities) as metadata."""
    metadata = {"facts": json.dumps(facts, sort_keys=True)}
    contiguous = {n: np.asarray(arrays[n], order="C") for n in sorted(arrays)}
    with atomic(path) as temporary:
        save_file(contiguous, temporary, metadata=metadata)


def load_arrays(path: Path) -> dict[str, NDArray[Any]]:
    """Read all arrays of a file."""
    with readable(path):
        arrays: dict[str, NDArray[Any]] = load_file(path)
        return arrays


def load_facts(path: Path) -> dict[str, Any]:
    """Read the facts of a file without its arrays."""
    with readable(path), safe_open(path, framework="np") as opened:
        facts: dict[str, Any] = json.loads((opened.metadata() or {})["facts"])
        return facts


def save_dataset(path: Path, data: Dataset) -> None:
    """Write a data set with its split into one file."""
    arrays: dict[str, NDArray[Any]] = {}
    word = INPUT_WORDS[type(data.description.inputs)]
    for name in ("train", "validation", "test"):
        split: Split = getattr(data, name)
        arrays |= {f"{name}.{word}": split.inputs, f"{name}.labels": split.labels}
    save_arrays(path, arrays, **described(data.description), digest=digest(arrays))


def load_dataset(path: Path) -> Dataset:
    """Read a data set written by ``save_dataset``."""
    arrays, description = load_arrays(path), load_description(path)
    word = INPUT_WORDS[type(description.inputs)]
    splits = {
        name: Split(inputs=arrays[f"{name}.{word}"], labels=arrays[f"{name}.labels"])
        for name in ("train", "validation", "test")
    }
    return Dataset(**splits, description=description)


def load_description(path: Path) -> Description:
    """Read what the examples of a data set are, without its arrays."""
    facts = load_facts(path)
    with readable(path):
        return description_in(facts)


def dataset_sizes(path: Path) -> dict[str, int]:
    """How many examples each split of a prepared data set has, without reading them."""
    with readable(path), safe_open(path, framework="np") as opened:
        names = ("train", "validation", "test")
        return {n: opened.get_slice(f"{n}.labels").get_shape()[0] for n in names}


def load_weights(folder: Path, seed: int) -> Weights:
    """Read the weights of one seed from a theta0, starts, trained or pooled folder."""
    part = "weights" if _has_both(folder) else ""
    return load_arrays(seed_file(folder, seed, part))


def load_mask(folder: Path, seed: int) -> Mask:
    """Read the mask of one seed from a masks, trained or pooled folder."""
    return load_arrays(mask_file(folder, seed))


def mask_file(folder: Path, seed: int) -> Path:
    """The file with the mask of one seed in a masks, trained or pooled folder."""
    return seed_file(folder, seed, "mask" if _has_both(folder) else "")


def _has_both(folder: Path) -> bool:
    """Whether weights and masks lie in one folder."""
    return folder.parts[-5:-4] in (("trained",), ("pooled",))


@contextmanager
def readable(path: Path, *also: type[Exception]) -> Iterator[None]:
    """Refuse a file that is missing or damaged.

    Args:
        path: that the block reads.
        also: what a reader raises for a damaged file, beside the usual errors.

    Raises:
        ArtifactError: in place of these errors.
    """
    # KeyError: no facts; ValueError: no JSON.
    damage: tuple[type[Exception], ...] = (SafetensorError, KeyError, ValueError, OSError)
    try:
        yield
    except FileNotFoundError:
        raise missing(path) from None
    except (*damage, *also) as error:
        raise damaged(path, _one_line(error)) from None


def damaged(path: Path, why: str) -> ArtifactError:
    """The error of a file that is not what was written."""
    return ArtifactError(
        f"{path}: not readable ({why}); delete it and run `dvc repro`, which restores it"
    )


@contextmanager
def understood(path: Path) -> Iterator[None]:
    """Refuse a JSON file whose content turns out not to be what was written.

    Raises:
        ArtifactError: where the block does not find in it what it takes for granted.
    """
    try:
        yield
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        raise damaged(path, f"{type(error).__name__}: {_one_line(error)}") from None


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())


def missing(path: Path) -> ArtifactError:
    """The error of an artifact that is not there."""
    return ArtifactError(f"{path} is missing; run `dvc repro` (or `dvc pull`)")


def _finite(value: object) -> object:
    if isinstance(value, dict):
        return {str(key): _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    if isinstance(value, np.generic):
        return _finite(value.item())
    if isinstance(value, float) and not np.isfinite(value):
        return None
    return value
