"""How kernels are compiled, and when their code on disk is stale."""

import functools
import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numba
from numba.core import caching


def kernel(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compiled on first use; cached on disk until its folder or this one changes.

    Nothing is allocated in compiled code, so Numba need not count references (_nrt):
    for tuples of arrays that takes 0.2 µs per call, as long as 100 weights do.
    ``fastmath`` never assumes that there is no NaN: one weight that diverges shows in the
    loss.
    """
    options = {"nogil": True, "cache": True, "error_model": "numpy", "_nrt": False}
    before = numba.config.CACHE_LOCATOR_CLASSES
    numba.config.CACHE_LOCATOR_CLASSES = ",".join(
        f"{__name__}.{place.__name__}" for place in (Given, InTree, UserWide)
    )
    try:
        compiled: Callable[..., Any] = numba.njit(**options, fastmath={"contract"})(
            function
        )
    finally:
        numba.config.CACHE_LOCATOR_CLASSES = before
    return compiled


@functools.cache
def digest_of(folder: Path) -> bytes:
    """A digest of every Python file in a folder, as first seen by this process."""
    content = hashlib.sha256()
    for file in sorted(folder.glob("*.py")):
        content.update(f"{file.name}\0".encode() + file.read_bytes())
    return content.digest()


class _Stamped:
    """Where compiled code is kept, with a stamp that also tells what a kernel may call.

    Numba alone does not notice that a called function in another file has changed. Kernels
    may call what is in their own folder and in this one, and nothing else.
    """

    _py_file: str

    def get_source_stamp(self) -> object:
        own = super().get_source_stamp()  # type: ignore[misc]  # numba's
        folders = Path(self._py_file).parent, Path(__file__).parent
        return own, *(digest_of(folder) for folder in folders)

    def get_disambiguator(self) -> str:
        """Part of the file's name: no two versions may share one.

        Numba writes the index first, and another process could read what an old version
        has left behind it.
        """
        version = hashlib.sha256(repr(self.get_source_stamp()).encode()).hexdigest()
        own = super().get_disambiguator()  # type: ignore[misc]  # numba's
        return f"{own}-{version[:8]}"


class Given(_Stamped, caching.UserProvidedCacheLocator):  # type: ignore[misc]
    """In NUMBA_CACHE_DIR."""


class InTree(_Stamped, caching.InTreeCacheLocator):  # type: ignore[misc]
    """Beside the source."""


class UserWide(_Stamped, caching.UserWideCacheLocator):  # type: ignore[misc]
    """In the user's cache folder, where the source is read-only."""
