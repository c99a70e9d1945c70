"""Do a parcel on a machine that shares no folder with the one that packed it.

It is unpacked into a folder of its own, which goes with its end; what it leaves there is
what the other machine gets. Files that many parcels read lie in the user's cache under
their digests, once per machine.
"""

import hashlib
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

from pipeline.artifacts import files
from pipeline.border import caches
from pipeline.border.root import code_root
from pipeline.run import machines
from pipeline.run.executors.portable import Parcel
from pipeline.run.executors.processes import Tell

UNUSED_S = 7 * 24 * 3600
"""after which a shared file goes"""


def do(parcel: Parcel, shared: Mapping[Path, Path], tell: Tell) -> dict[Path, bytes]:
    """Do its work in a new folder.

    Args:
        parcel: to do.
        shared: path of each shared file -> where it lies on this machine.
        tell: told what the work tells.

    Returns:
        The files that it leaves, by their paths.
    """
    with _new_folder():
        for path, content in parcel.files.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        for path, here in shared.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.symlink_to(here)
        parcel.work.run(tell, lambda: False)
        return {
            path: path.read_bytes() for path in parcel.leaves.rglob("*") if path.is_file()
        }


@contextmanager
def _new_folder() -> Iterator[None]:
    """Work in a folder that is removed afterwards."""
    before = Path.cwd()
    folder = tempfile.mkdtemp(prefix="lt-pipeline-")
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)
        shutil.rmtree(folder, ignore_errors=True)


def shared_file(digest: str, read: Callable[[], bytes]) -> Path:
    """Where the file of this content lies on this machine; read once.

    Args:
        digest: ``digest_of`` its content.
        read: gets the content from the other machine.
    """
    path = _cache() / digest
    if not path.is_file():
        with suppress(OSError):
            _remove_unused(path.parent)
        with files.atomic(path) as temporary:
            temporary.write_bytes(read())
    with suppress(OSError):
        os.utime(path)
    return path


def digest_of(content: bytes) -> str:
    """The name of a shared file."""
    return hashlib.sha256(content).hexdigest()


@cache
def _cache() -> Path:
    """The user's cache, or a folder of this process where there is none."""
    found = caches.user_cache("shared")
    return found or Path(tempfile.mkdtemp(prefix="lt-pipeline-shared-"))


def _remove_unused(folder: Path) -> None:
    for path in folder.iterdir():
        if time.time() - path.stat().st_mtime > UNUSED_S:
            path.unlink(missing_ok=True)


def identity() -> Mapping[str, Any]:
    """The code and versions, which must be equal on machines that do the same work."""
    return _identity(code_root(Path()).resolve() / "pipeline")


@cache
def _identity(base: Path) -> dict[str, Any]:
    """Read once per process, as the code that it runs is; a driver asks it per node."""
    content = hashlib.sha256()
    for path in sorted(base.rglob("*.py")):
        content.update(f"{path.relative_to(base)}\0".encode() + path.read_bytes())
    return {
        "lt-pipeline": f"{version('lt-pipeline')} ({content.hexdigest()[:12]})",
        **machines.versions(),
    }


def differences(here: Mapping[str, Any], there: Mapping[str, Any]) -> str:
    """The differences of another machine, in words; empty if all is equal.

    >>> differences({"torch": "2.13", "numpy": "2.2"}, {"torch": "2.12", "numpy": "2.2"})
    'torch 2.12, and this machine has 2.13'
    """
    return "; ".join(
        f"{name} {there.get(name, 'not at all')}, and this machine has {value}"
        for name, value in here.items()
        if there.get(name) != value
    )
