"""Lock files between processes, where the system has such locks.

Windows has none of this kind. There, one process at a time is up to the user.
"""

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

    Where the system has no such locks, whether there is the file.
    """
    try:
        with path.open("r+") as opened:
            lock(opened, wait=False)
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
    return fcntl is None


def unlock(opened: IO[Any]) -> None:
    """Unlock an open file, also for children that were forked since."""
    if fcntl is not None:
        fcntl.flock(opened, fcntl.LOCK_UN)
