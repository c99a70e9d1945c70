"""Say in one line how code of the user's has failed, and keep its traceback for them.

Code is the user's if it lies in a package of which a function was named in the settings, or
to ``lt-pipeline check``. An error that passes through such code is a failure of it: its
line names the function, what was raised and where, and the file with the traceback.
"""

import os
import sys
import traceback
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from types import FrameType

from pipeline.border.redaction import redacted

FILE = Path(".lt/traceback.txt")
"""the traceback of the last failure, below the working directory"""
SHOW = "LT_TRACEBACK"
"""the variable that asks for tracebacks on the screen in place of the file"""

NOBODYS = frozenset({"pipeline", "torch"})
"""packages through which other errors pass, too"""

_claimed: dict[str, None] = {}


def claim(names: Iterable[str]) -> None:
    """Say which functions are the user's.

    Args:
        names: ``package.module:function``.
    """
    _claimed.update(dict.fromkeys(names))


def claimed() -> tuple[str, ...]:
    """The functions that are known to be the user's, in the order in which they came."""
    return tuple(_claimed)


def line(error: BaseException) -> str | None:
    """The one line of an error that passes through code of the user's; None of others.

    It names the function that was named, or else the one in which the error was raised.
    """
    passed_through = [_function(frame) for frame, _ in _frames(error)]
    if not passed_through:
        return None
    named = (name for name in passed_through if name in _claimed)
    return told(next(named, passed_through[-1]), error)


def told(name: str, error: BaseException) -> str:
    """The one line of an error in a function of the user's; its traceback is kept.

    Args:
        name: of the function.
        error: that it has raised.
    """
    return f"{name} fails: {said(error)}{seen(error)}"


def said(error: BaseException) -> str:
    """The type and the message of an error, in one line."""
    return " ".join(f"{type(error).__name__}: {error}".split()).removesuffix(":")


def seen(error: BaseException) -> str:
    """The end of a line about an error: where to look. Its traceback is kept."""
    found = place(error)
    return f"; see {f'{found}, and ' if found else ''}{_keep(error)}"


def place(error: BaseException) -> str:
    """The line of the user's code in which an error was raised; empty if there is none."""
    inside = [*_frames(error)]
    if not inside:
        return ""
    frame, number = inside[-1]
    file = Path(frame.f_code.co_filename)
    with suppress(ValueError):
        file = file.relative_to(Path.cwd())
    return f"{file}:{number} in {frame.f_code.co_name}"


def passed(error: BaseException, module: str, function: str) -> bool:
    """Whether an error passes through a call of this function of a module."""
    return any(
        frame.f_code.co_name == function and _module(frame) == module
        for frame, _ in traceback.walk_tb(error.__traceback__)
    )


def _keep(error: BaseException) -> str:
    """Show the traceback, or write it down; where it is, as the end of a sentence."""
    text = redacted("".join(traceback.format_exception(error)))
    if os.environ.get(SHOW, "0") != "0":
        sys.stderr.write(text)
        return "its traceback above"
    try:
        FILE.parent.mkdir(exist_ok=True)
        FILE.write_text(text, encoding="utf-8")
    except OSError:
        return f"its traceback with {SHOW}=1"
    return f"its traceback in {FILE}"


def _frames(error: BaseException) -> Iterator[tuple[FrameType, int]]:
    """The frames in the user's packages and their lines, from the outermost on."""
    packages = {_package(name) for name in _claimed} - NOBODYS
    for frame, number in traceback.walk_tb(error.__traceback__):
        if _package(_module(frame)) in packages:
            yield frame, number


def _function(frame: FrameType) -> str:
    return f"{_module(frame)}:{frame.f_code.co_qualname}"


def _module(frame: FrameType) -> str:
    return str(frame.f_globals.get("__name__", ""))


def _package(module: str) -> str:
    return module.partition(":")[0].partition(".")[0]
