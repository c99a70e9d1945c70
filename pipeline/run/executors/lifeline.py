"""End a process when the one it works for is gone.

SIGKILL of dvc leaves its stage running, SIGKILL of a stage leaves its workers, whatever
the start method. Left alone they would compete with their successors for the cores.

A stage watches from its first import on (``pipeline/stages/__init__.py``), so this module
imports nothing that takes time: psutil alone would be 10 to 25 ms. It reads Linux's /proc.
Without it, a stage ends with its parent, and a shell between them hides the end of dvc.
"""

import os
import signal
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

from pipeline.border import interrupts

POLL_S = 0.5
GONE: signal.Signals = getattr(signal, "SIGUSR1", signal.SIGTERM)
"""ends a stage whose dvc is gone: at once while it imports, later as Ctrl-C does. A shell
starts ``dvc repro &`` with SIGINT ignored, hence a signal of our own"""
STAGE = "DVC_STAGE"
"""the variable in which dvc, and nobody else, tells a stage its name"""
_PROC = Path("/proc")
_DEAD = ("Z", "X")
_FIRST = 1
"""the process that inherits the children of the dead"""


@dataclass(frozen=True, slots=True)
class _Process:
    """A process; a later one with the same number is not equal to it."""

    pid: int
    parent: int = field(compare=False)
    """changes when that one dies: dvc goes on when its terminal is closed"""
    born: str
    """clock ticks after the start of the machine"""


_watched: list[_Process] = []


def watch_dvc() -> None:
    """End this stage once the dvc that started it is gone, or now if it is gone already.

    Does nothing where the stage was started by hand. The variable is taken out of the
    environment: workers import the stage's module too, and follow the stage instead.
    """
    stage = os.environ.pop(STAGE, None)
    if stage is None:
        return
    signal.signal(GONE, signal.SIG_DFL)
    interrupts.end_in_one_line()
    if not _PROC.is_dir():
        threading.Thread(target=_signal_orphan, args=(os.getppid(),), daemon=True).start()
        return
    watched = _up_to_dvc(stage)
    _watched.extend(watched)
    if not watched:
        os.kill(os.getpid(), GONE)
    threading.Thread(target=_signal_after, args=(watched,), daemon=True).start()


def dvc() -> int | None:
    """The process number of the dvc that this stage follows; None if none does."""
    return _watched[-1].pid if _watched else None


def follow(pid: int) -> None:
    """Take a process for the dvc of this stage, whose command watches it."""
    _watched[:] = [one for one in (_process(pid),) if one]


def interrupt_when_gone() -> None:
    """From now on, end like after Ctrl-C when dvc is gone: the work keeps checkpoints."""
    signal.signal(GONE, signal.default_int_handler)


def end_with_parent() -> None:
    """End this worker at once when the process that started it is gone."""
    from multiprocessing import parent_process

    parent = parent_process()
    assert parent is not None, "only worker processes have a parent to follow"
    threading.Thread(target=_exit_after, args=(parent.sentinel,), daemon=True).start()


def _up_to_dvc(stage: str) -> list[_Process]:
    """The processes from this one's parent up to dvc; a shell may stand between.

    dvc is the first of them that was not told the stage's name. Where it died, that place
    is taken by whoever inherits orphans; the list is empty then.
    """
    told = f"{STAGE}={stage}".encode()
    chain: list[_Process] = []
    pid = os.getppid()
    while (process := _process(pid)) is not None:
        chain.append(process)
        if told not in _read(pid, "environ").split(b"\0"):
            return chain if _runs_dvc(pid) else []
        pid = process.parent
    return []


def _runs_dvc(pid: int) -> bool:
    """Whether it is dvc, or a Python program that calls dvc's functions."""
    words = _read(pid, "cmdline").split(b"\0")[:3]
    if any(b"dvc" in word for word in words):
        return True
    return pid != _FIRST and b"python" in words[0].rpartition(b"/")[2]


def _process(pid: int) -> _Process | None:
    """The process of that number; None if there is none, or only its remains."""
    # "4711 (name of (the) program) S 4700 …": the name may hold anything.
    fields = _read(pid, "stat").decode(errors="replace").rpartition(")")[2].split()
    if not fields or fields[0] in _DEAD:
        return None
    return _Process(pid=pid, parent=int(fields[1]), born=fields[19])


def _read(pid: int, name: str) -> bytes:
    """The bytes of a file in /proc of a process; none if it is gone, or another user's."""
    try:
        return (_PROC / str(pid) / name).read_bytes()
    except OSError:
        return b""


def _signal_after(watched: list[_Process]) -> None:
    while all(_process(one.pid) == one for one in watched):
        time.sleep(POLL_S)
    os.kill(os.getpid(), GONE)


def _signal_orphan(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(POLL_S)
    os.kill(os.getpid(), GONE)


def _exit_after(sentinel: int) -> None:
    from multiprocessing import connection

    connection.wait([sentinel])
    os._exit(1)
