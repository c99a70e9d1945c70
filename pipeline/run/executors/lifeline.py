"""End a process when the one it works for is gone.

SIGKILL of dvc leaves its stage running, SIGKILL of a stage leaves its workers, whatever
the start method. Left alone they would compete with their successors for the cores.
"""

import os
import signal
import threading
import time
from multiprocessing import connection, parent_process

import psutil

POLL_S = 0.5
GONE = signal.SIGUSR1
"""interrupts a stage whose dvc is gone"""


def end_with_dvc() -> None:
    """Interrupt this stage (as Ctrl-C does) once the dvc that started it is gone.

    Does nothing where the stage was started by hand: only dvc sets DVC_STAGE. A shell
    starts ``dvc repro &`` with SIGINT ignored, hence a signal of our own.
    """
    if "DVC_STAGE" not in os.environ:
        return
    signal.signal(GONE, signal.default_int_handler)
    watched = _chain_to_dvc()
    if watched:
        threading.Thread(target=_interrupt_after, args=(watched,), daemon=True).start()


def end_with_parent() -> None:
    """End this worker at once when the process that started it is gone."""
    parent = parent_process()
    assert parent is not None, "only worker processes have a parent to follow"
    threading.Thread(target=_exit_after, args=(parent.sentinel,), daemon=True).start()


def _chain_to_dvc() -> list[psutil.Process]:
    """The processes from this one's parent up to dvc; a shell may stand between."""
    chain: list[psutil.Process] = []
    for process in psutil.Process().parents():
        chain.append(process)
        try:
            if any("dvc" in part for part in process.cmdline()[:3]):
                return chain
        except psutil.Error:
            return []
    return []


def _interrupt_after(watched: list[psutil.Process]) -> None:
    while all(process.is_running() and not _zombie(process) for process in watched):
        time.sleep(POLL_S)
    os.kill(os.getpid(), GONE)


def _zombie(process: psutil.Process) -> bool:
    try:
        return bool(process.status() == psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return True


def _exit_after(sentinel: int) -> None:
    connection.wait([sentinel])
    os._exit(1)
