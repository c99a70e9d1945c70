"""The place of kept trainings: a folder, or a URL of any kind that fsspec knows.

``LT_TRAININGS`` names it. Without the variable it is ``.lt/trainings`` of the experiment,
which experiments of DVC in temporary folders share.
"""

import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import IO, Any, Protocol

from pipeline.artifacts import files
from pipeline.border import root
from pipeline.border.errors import UserError
from pipeline.border.exits import of_system

VARIABLE = "LT_TRAININGS"
DEFAULT = Path(".lt/trainings")


@dataclass(frozen=True, kw_only=True, slots=True)
class File:
    """One entry as a listing has it."""

    path: str
    """below the place"""
    num_bytes: int
    used: float
    """when it was last read or written, in seconds since 1970"""


class Place(Protocol):
    """Where entries lie. Every method raises OSError or what its file system raises."""

    def read(self, path: str) -> bytes | None:
        """The content of an entry; None without one. A read counts as a use."""

    def open(self, path: str) -> IO[bytes]:
        """Open an entry to read parts of it, which counts as no use."""

    def write(self, path: str, content: bytes) -> None:
        """Write an entry so that no reader sees a part of it."""

    def listed(self, below: str = "") -> list[File]:
        """Every entry, or those below a folder."""

    def delete(self, path: str) -> None:
        """Delete an entry, if it is there."""


@dataclass(frozen=True, slots=True)
class Folder:
    """A folder of this machine, or one that several machines mount."""

    folder: Path

    def __str__(self) -> str:
        return str(self.folder)

    def read(self, path: str) -> bytes | None:
        """The content of an entry; None without one."""
        try:
            content = (self.folder / path).read_bytes()
        except FileNotFoundError:
            return None
        with suppress(OSError):  # a folder that may only be read
            os.utime(self.folder / path)
        return content

    def open(self, path: str) -> IO[bytes]:
        """Open an entry."""
        return (self.folder / path).open("rb")

    def write(self, path: str, content: bytes) -> None:
        """Write an entry atomically."""
        with files.atomic(self.folder / path) as temporary:
            temporary.write_bytes(content)

    def listed(self, below: str = "") -> list[File]:
        """Every entry, or those below a folder."""
        found = []
        for file in (self.folder / below).rglob("*.zip"):
            with suppress(FileNotFoundError):  # another process may have deleted it
                known = file.stat()
                path = file.relative_to(self.folder).as_posix()
                found.append(File(path=path, num_bytes=known.st_size, used=known.st_mtime))
        return found

    def delete(self, path: str) -> None:
        """Delete an entry and the folder that it leaves empty."""
        file = self.folder / path
        file.unlink(missing_ok=True)
        with suppress(OSError):  # others are in it
            file.parent.rmdir()


class Remote:
    """A URL. Where its system knows no last use, the last change stands for it."""

    def __init__(self, url: str) -> None:
        """Find the file system of a URL.

        Raises:
            ImportError: if the package for this kind of URL is not installed.
            ValueError: if there is no such kind.
        """
        from fsspec.core import url_to_fs  # 0.1 s

        self._url = url.rstrip("/")
        self._system, self._base = url_to_fs(self._url)

    def __str__(self) -> str:
        return self._url

    def read(self, path: str) -> bytes | None:
        """The content of an entry; None without one."""
        try:
            content: bytes = self._system.cat_file(f"{self._base}/{path}")
        except FileNotFoundError:
            return None
        return content

    def open(self, path: str) -> IO[bytes]:
        """Open an entry; only what is asked for is moved."""
        opened: IO[bytes] = self._system.open(f"{self._base}/{path}", "rb")
        return opened

    def write(self, path: str, content: bytes) -> None:
        """Write an entry; stores of objects show it whole, others may show a part."""
        file = f"{self._base}/{path}"
        self._system.makedirs(file.rpartition("/")[0], exist_ok=True)
        self._system.pipe_file(file, content)

    def listed(self, below: str = "") -> list[File]:
        """Every entry, or those below a folder."""
        folder = f"{self._base}/{below}".rstrip("/")
        with suppress(FileNotFoundError):
            self._system.invalidate_cache()
            known: dict[str, dict[str, Any]] = self._system.find(folder, detail=True)
            return [
                File(
                    path=file[len(self._base) :].lstrip("/"),
                    num_bytes=int(facts.get("size") or 0),
                    used=_changed(facts),
                )
                for file, facts in known.items()
                if file.endswith(".zip")
            ]
        return []

    def delete(self, path: str) -> None:
        """Delete an entry, if it is there."""
        with suppress(FileNotFoundError):
            self._system.rm_file(f"{self._base}/{path}")


_lost: set[tuple[str, str]] = set()
"""place and use of what failed in this process, and is not tried again"""
READ, WRITE = "read", "written"


def asked() -> str:
    """The folder or URL that the user asks for."""
    named = os.environ.get(VARIABLE)
    if not named:
        return str(root.enclosing(Path.cwd()) / DEFAULT)
    return named if is_url(named) else str(Path(named).expanduser().absolute())


def find(named: str) -> Place:
    """The place of this name.

    Raises:
        ImportError, ValueError: if it is a URL of an unknown kind.
    """
    return Remote(named) if is_url(named) else Folder(Path(named))


def is_url(named: str) -> bool:
    """Whether a place is a URL, and no folder."""
    return "://" in named


@contextmanager
def used(named: str, use: str, say: Callable[[str], None]) -> Iterator[Place | None]:
    """The place, or None where this use of it has failed before in this process.

    Whatever goes wrong in the block means the same: a line, and to do without. A folder
    that is full, or may only be read, can still be read.

    Args:
        named: the place, as ``asked`` has it.
        use: READ or WRITE.
        say: told, in a line, what is wrong.
    """

    def give_up(error: Exception) -> None:
        _lost.add((named, use))
        say(f"{refused(named, error, use)}; the run goes on without")

    place: Place | None = None
    if (named, use) not in _lost:
        try:
            place = find(named)
        except Exception as error:  # those of file systems are of any kind
            give_up(error)
    try:
        yield place
    except Exception as error:
        give_up(error)


def refused(named: str, error: Exception, use: str) -> str:
    """The message about a place that failed: the same, whichever entry it was."""
    said = re.sub(rf"^{re.escape(named)}\S*?( cannot be written)?: ", "", _said(error))
    return f"finished trainings in {named} cannot be {use} ({said})"


def _said(error: Exception) -> str:
    if isinstance(error, OSError) and not isinstance(error, UserError):
        return " ".join(of_system(error).split())
    return " ".join(f"{error}".split())[:200] or type(error).__name__


_NAMES_OF_CHANGE = ("mtime", "LastModified", "last_modified", "updated", "created")


def _changed(facts: dict[str, Any]) -> float:
    """When a file was changed, which file systems tell by several names."""
    for name in (
        "mtime",
        "LastModified",
        "last_modified",
        "updated",
        "modified",
        "created",
    ):
        value = facts.get(name)
        if isinstance(value, datetime):
            return value.timestamp()
        if isinstance(value, int | float):
            return float(value)
        if isinstance(value, str):
            with suppress(ValueError):
                return datetime.fromisoformat(value).timestamp()
    return 0.0
