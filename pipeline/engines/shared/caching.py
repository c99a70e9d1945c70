"""How kernels are compiled, and when their code on disk is stale."""

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numba
from numba.core import caching


def kernel(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compiled on first use, and cached on disk until its file or a shared one changes.

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


def _digest_of_folder() -> bytes:
    """A digest of every file in this folder: kernels elsewhere may call any of it."""
    content = hashlib.sha256()
    for file in sorted(Path(__file__).parent.glob("*.py")):
        content.update(f"{file.name}\0".encode() + file.read_bytes())
    return content.digest()


_SHARED = _digest_of_folder()


class _Stamped:
    """Where compiled code is kept, with a stamp that also tells what is shared.

    Numba alone does not notice that a called function in another file has changed.
    """

    def get_source_stamp(self) -> object:
        own = super().get_source_stamp()  # type: ignore[misc]  # numba's
        return own, _SHARED

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
