"""Lock files between processes, where the system has such locks.

Windows has none of this kind. There, one process at a time is up to the user.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]


def lock(opened: IO[Any], *, wait: bool) -> None:
    """Lock an open file until it is closed, or its process ends however that happens.

    Args:
        opened: for writing.
        wait: whether to wait while another process holds it.

    Raises:
        BlockingIOError: another process holds it, and ``wait`` is false.
    """
    if fcntl is not None:
        fcntl.flock(opened, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))


def is_locked(path: Path) -> bool:
    """Whether a process holds the lock of a file now.

    Where the system has no such locks, it is true if the file exists.
    """
    try:
        with path.open("r+") as opened:
            lock(opened, wait=False)
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
    return fcntl is None


@contextmanager
def held(path: Path, busy: Callable[[str], None]) -> Iterator[None]:
    """Hold the lock of a file, in which the number of this process stands.

    The file stays, since a lock on a deleted file would lock nobody out.

    Args:
        path: of the file; its folder is made.
        busy: called with the number of the process that holds the lock, if there is one.
            Unless it raises an error, the end of that process is waited for.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+") as opened:
        try:
            lock(opened, wait=False)
        except BlockingIOError:
            opened.seek(0)
            busy(opened.read().strip() or "?")
            lock(opened, wait=True)
        opened.truncate(0)
        opened.write(str(os.getpid()))
        opened.flush()
        yield


def unlock(opened: IO[Any]) -> None:
    """Unlock an open file, also for children that were forked since."""
    if fcntl is not None:
        fcntl.flock(opened, fcntl.LOCK_UN)
