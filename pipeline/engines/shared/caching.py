"""Compile kernels with Numba, and cache the compiled code until its source changes."""

import functools
import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numba
from numba.core import caching


def kernel(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compile a function on first use, and cache it until its folder or this one changes.

    Kernels allocate nothing, so Numba need not count references (_nrt): for tuples of
    arrays that takes 0.2 µs per call, as long as 100 weights do. ``fastmath`` must never
    assume that there is no NaN, so that a single diverged weight shows in the loss.
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
    """A digest of all Python files in a folder, as this process first saw them."""
    content = hashlib.sha256()
    for file in sorted(folder.glob("*.py")):
        content.update(f"{file.name}\0".encode() + file.read_bytes())
    return content.digest()


class _Stamped:
    """A place for compiled code, with a stamp that covers all files a kernel may call.

    Numba alone does not notice that a called function in another file has changed. Kernels
    may call functions of their own folder and of this one, and no others.
    """

    _py_file: str

    def get_source_stamp(self) -> object:
        own = super().get_source_stamp()  # type: ignore[misc]  # numba's
        folders = Path(self._py_file).parent, Path(__file__).parent
        return own, *(digest_of(folder) for folder in folders)

    def get_disambiguator(self) -> str:
        """A part of the file's name that differs for every version of the code.

        Numba writes the index first, so under a common name another process could read
        code that an old version has left.
        """
        version = hashlib.sha256(repr(self.get_source_stamp()).encode()).hexdigest()
        own = super().get_disambiguator()  # type: ignore[misc]  # numba's
        return f"{own}-{version[:8]}"


class Given(_Stamped, caching.UserProvidedCacheLocator):  # type: ignore[misc]
    """Keeps compiled code in NUMBA_CACHE_DIR."""


class InTree(_Stamped, caching.InTreeCacheLocator):  # type: ignore[misc]
    """Keeps compiled code beside the source."""


class UserWide(_Stamped, caching.UserWideCacheLocator):  # type: ignore[misc]
    """Keeps compiled code in the user's cache folder, if the source is read-only."""
