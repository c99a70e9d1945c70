"""Compile kernels with Numba, and cache the compiled code until its source changes.

All clones and all processes of a user share one cache (``border/caches``). Its names hold
what decides compiled code: the content of the source, not its place or time, and the
versions of Python, Numba and LLVM; Numba's own keys add processor and types. Numba's files
are pickles, the only ones that are loaded: the folder is the user's own and private.
"""

import functools
import hashlib
import platform
from collections.abc import Callable
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import llvmlite
import numba
from numba.core import caching

from pipeline.border import locks
from pipeline.border.caches import user_cache
from pipeline.engines.shared.compilation import account


def kernel(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compile a function on first use, and cache it until its folder or this one changes.

    Kernels allocate nothing, so Numba need not count references (_nrt): for tuples of
    arrays that takes 0.2 µs per call, as long as 100 weights do. ``fastmath`` must never
    assume that there is no NaN, so that a single diverged weight shows in the loss.
    """
    options = {"nogil": True, "error_model": "numpy", "_nrt": False}
    compiled = numba.njit(**options, fastmath={"contract"})(function)
    if cache_folder() is not None:
        before = numba.config.CACHE_LOCATOR_CLASSES
        numba.config.CACHE_LOCATOR_CLASSES = f"{__name__}.{Shared.__name__}"
        try:
            compiled.enable_caching()
        finally:
            numba.config.CACHE_LOCATOR_CLASSES = before
        compiled._cache = Careful(compiled._cache)
        compiled.compile = _OneProcess(compiled)
    found: Callable[..., Any] = compiled
    return found


@functools.cache
def cache_folder() -> Path | None:
    """The folder of compiled code; None where nothing can be kept."""
    return user_cache("kernels")


@functools.cache
def digest_of(folder: Path) -> bytes:
    """A digest of all Python files in a folder, as this process first saw them."""
    content = hashlib.sha256()
    for file in sorted(folder.glob("*.py")):
        content.update(f"{file.name}\0".encode() + file.read_bytes())
    return content.digest()


class Shared(caching.UserProvidedCacheLocator):  # type: ignore[misc]  # numba's
    """The place of a kernel's compiled code, the same for equal source.

    Numba alone does not notice that a function or a number of another file has changed.
    Kernels may use those of their own folder and of this one, and no others.
    """

    def __init__(self, function: Callable[..., Any], file: str) -> None:
        """Find the place for a function in a file of source."""
        self._py_file = file
        self._lineno = function.__code__.co_firstlineno

    @classmethod
    def from_function(cls, function: Callable[..., Any], file: str) -> "Shared":
        """The place for a function."""
        return cls(function, file)

    def get_cache_path(self) -> str:
        """The folder for this version of the source and of the compiler."""
        folder = cache_folder()
        assert folder is not None, "caching is enabled only where there is a folder"
        version = hashlib.sha256(repr(self.get_source_stamp()).encode()).hexdigest()
        return str(folder / f"{Path(self._py_file).parent.name}-{version[:16]}")

    def get_source_stamp(self) -> object:
        """What a cached kernel must have in common with the present one."""
        folders = Path(self._py_file).parent, Path(__file__).parent
        versions = platform.python_version(), numba.__version__, llvmlite.__version__
        return *(digest_of(folder) for folder in folders), *versions

    def get_disambiguator(self) -> str:
        """A part of the file's name: where in its file the function stands."""
        return f"{Path(self._py_file).stem}-{self._lineno}"


class Careful:
    """Numba's cache of one kernel, for which a damaged entry is a missing one.

    It is written anew. An entry that cannot be written is left out.
    """

    def __init__(self, cache: Any) -> None:  # noqa: ANN401 - numba has no types
        self._cache = cache

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - numba has no types
        return getattr(self._cache, name)

    def has(self, signature: object, context: Any) -> bool:  # noqa: ANN401 - numba's
        """Whether there is an entry for some types, so that nothing must be compiled."""
        try:
            key = self._cache._index_key(signature, context.codegen())
            return key in self._cache._cache_file._load_index()
        except Exception:
            return False

    def load_overload(self, signature: object, context: object) -> object:
        """The compiled code for some types; None if there is none that can be loaded."""
        try:
            return self._cache.load_overload(signature, context)
        except Exception:
            with suppress(OSError):
                Path(self._cache._cache_file._index_path).unlink()
            return None

    def save_overload(self, signature: object, compiled: object) -> None:
        """Keep compiled code, if the disk has room."""
        with suppress(OSError):
            self._cache.save_overload(signature, compiled)


class _OneProcess:
    """Compiles a kernel in one process at a time; the others wait, and then load it."""

    def __init__(self, compiled: Any) -> None:  # noqa: ANN401 - numba has no types
        self._compile = compiled.compile
        self._cache: Careful = compiled._cache
        self._context = compiled.targetctx
        self._path = Path(f"{compiled._cache._cache_file._index_path}.lock")
        self._depth = 0

    def __call__(self, signature: object) -> object:
        """Load or compile the kernel for some types."""
        if self._depth:  # a kernel that calls itself for other types
            return self._compile(signature)
        self._depth += 1
        try:
            with account.counted(), ExitStack() as held:
                if not self._cache.has(signature, self._context):
                    account.compiling()
                    self._wait_for_others(held)
                return self._compile(signature)
        finally:
            self._depth -= 1

    def _wait_for_others(self, held: ExitStack) -> None:
        """Hold the kernel's lock in a context, where the cache can be written."""
        with suppress(OSError):
            self._path.parent.mkdir(mode=0o700, exist_ok=True)
            opened = held.enter_context(self._path.open("w"))
            locks.lock(opened, wait=True)
            held.callback(locks.unlock, opened)
