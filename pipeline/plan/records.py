"""Read what DVC has recorded: of each stage, the files that it read and wrote.

``dvc.lock`` has a record per stage instance: its command, and the md5 of every file and
folder that it read and wrote when it was last run.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from pipeline.border.errors import UserError

FILE = Path("dvc.lock")
DAMAGE = (ValueError, LookupError, TypeError, AttributeError)
"""what reading a damaged record raises"""


class LockError(UserError):
    """dvc.lock cannot be read; one line that says how to repair it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Record:
    """The last run of one stage instance."""

    cmd: str
    deps: Mapping[str, str]
    """path -> md5 of what was read"""
    outs: Mapping[str, str]
    """path -> md5 of what was written; that of a folder ends with ``.dir``"""


def read(root: Path = Path()) -> dict[str, Record]:
    """Every record of dvc.lock, by the stage's name; none where there is no file.

    Raises:
        LockError: if the file is cut, empty, or something else.
    """
    try:
        content = (root / FILE).read_bytes()
        return {name: record_of(entry) for name, entry in entries(content).items()}
    except FileNotFoundError:
        return {}
    except (OSError, *DAMAGE) as error:
        raise LockError(
            f"{FILE} is damaged ({' '.join(str(error).split())[:80]}); `lt-pipeline run` "
            "repairs it, and trains nothing for it"
        ) from None


def entries(content: bytes) -> dict[str, Any]:
    """The entries of a dvc.lock as they stand there, by the stage's name.

    Raises:
        ValueError: if this is no whole dvc.lock.
    """
    try:
        value = YAML(typ="safe").load(content.decode("utf-8"))
    except YAMLError as error:
        raise ValueError(f"not YAML: {error}") from None
    if not isinstance(value, dict) or not isinstance(value.get("stages"), dict):
        raise ValueError("no stages in it")
    for entry in value["stages"].values():
        record_of(entry)
    return dict(value["stages"])


def record_of(entry: Any) -> Record:  # noqa: ANN401 - YAML is any value
    """One entry of dvc.lock, or of DVC's run cache.

    Raises:
        LookupError, TypeError, AttributeError, ValueError: if it is cut.
    """
    return Record(
        cmd=str(entry["cmd"]),
        deps={str(one["path"]): str(one["md5"]) for one in entry.get("deps", ())},
        outs={str(one["path"]): str(one["md5"]) for one in entry.get("outs", ())},
    )


def md5_of_text(text: str) -> str:
    """The md5 that DVC records of a file with this text."""
    return _md5(text.encode())


def md5_of(path: Path) -> str | None:
    """The md5 that DVC records of a file or a folder; None where there is nothing.

    That of a folder is the md5 of the sorted list of its files with theirs, as JSON.
    """
    if path.is_file():
        return _md5_of_file(path)
    if not path.is_dir():
        return None
    listed = [
        {"md5": _md5_of_file(file), "relpath": file.relative_to(path).as_posix()}
        for file in path.rglob("*")
        if file.is_file()
    ]
    listed.sort(key=lambda one: one["relpath"])
    return _md5(json.dumps(listed, sort_keys=True).encode()) + ".dir"


def _md5_of_file(path: Path) -> str:
    with path.open("rb") as opened:
        return hashlib.file_digest(
            opened, partial(hashlib.md5, usedforsecurity=False)
        ).hexdigest()


def _md5(content: bytes) -> str:
    return hashlib.md5(content, usedforsecurity=False).hexdigest()
