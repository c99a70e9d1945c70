"""End a process that Ctrl-C reaches while it imports: one line, at once, no traceback."""

import os
import signal
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from types import FrameType

_Handler = Callable[[int, FrameType | None], object]

CODE = 130
"""the exit code after a Ctrl-C, as shells have it"""
_HANGUP = (signal.SIGHUP,) if hasattr(signal, "SIGHUP") else ()
"""the signal that the terminal has been closed; Windows has none"""
LINE = "lt-pipeline: interrupted; `lt-pipeline run` goes on where it was"


def end_in_one_line() -> None:
    """From now on Ctrl-C ends this process at once; nothing is written, nothing kept.

    A process whose parent has it ignore Ctrl-C, such as one in the background, still does.
    """
    if signal.getsignal(signal.SIGINT) != signal.SIG_IGN:
        signal.signal(signal.SIGINT, _end)


def hold_back() -> None:
    """Let Ctrl-C wait, also in the program that this process becomes."""
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})


def let_through() -> None:
    """End what ``hold_back`` began."""
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})


@contextmanager
def raised() -> Iterator[None]:
    """Let Ctrl-C raise KeyboardInterrupt here, inside of ``end_in_one_line``."""
    before = signal.getsignal(signal.SIGINT)
    if before is _end:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        if before is _end:
            signal.signal(signal.SIGINT, _end)


@contextmanager
def left_to_others() -> Iterator[None]:
    """Leave Ctrl-C and the end of the terminal to the program that is waited for.

    That program gets both signals as well. It calls ``let_through`` once it can report a
    Ctrl-C in one line: Python, while it starts, would print a traceback. ``subprocess``
    would kill it a quarter of a second after a Ctrl-C. A signal that is ignored here, as in
    the background, is ignored in that program too.
    """
    with _handled((signal.SIGINT, *_HANGUP), lambda *_: None):
        hold_back()
        try:
            yield
        finally:
            let_through()


@contextmanager
def as_ctrl_c() -> Iterator[None]:
    """Let SIGTERM and the end of the terminal raise KeyboardInterrupt, as Ctrl-C does.

    Work on other machines needs this: it goes on until it is stopped there. A signal that
    is ignored, as the end of the terminal is under nohup, is still ignored.
    """
    with _handled((signal.SIGTERM, *_HANGUP), signal.default_int_handler):
        yield


@contextmanager
def _handled(numbers: Iterable[int], by: _Handler) -> Iterator[None]:
    """Handle these signals in this way, except those that are ignored."""
    usual = {number: signal.getsignal(number) for number in numbers}
    heard = {number: is_ for number, is_ in usual.items() if is_ != signal.SIG_IGN}
    for number in heard:
        signal.signal(number, by)
    try:
        yield
    finally:
        for number, before in heard.items():
            signal.signal(number, before)


def _end(_number: int, _frame: FrameType | None) -> None:
    os.write(2, f"{LINE}\n".encode())
    os._exit(CODE)
