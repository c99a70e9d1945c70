"""Turn expected errors into one line and an exit code; a fault of ours keeps its traceback.

Expected is what its user or the machine can solve: wrong input (``UserError``), code of the
user's that fails, a full or locked disk, too little memory, a device that fails.
"""

import errno
import io
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import MappingProxyType

from pipeline.border import interrupts, notes, user_failures
from pipeline.border.errors import UserError
from pipeline.border.redaction import redacting

WRONG_INPUT = 2
REPORT = (
    "this is a fault of lt-pipeline, not yours: please report it with the lines above and "
    "your params.yaml"
)
_FULL = "free some space and run it again; what is finished stays"
_FORBIDDEN = "check who may write there"
_ADVICE = MappingProxyType(
    {
        errno.ENOSPC: _FULL,
        errno.EDQUOT: _FULL,
        errno.EFBIG: "raise the limit of a file's size (`ulimit -f`)",
        errno.EMFILE: "raise the limit of open files (`ulimit -n`)",
        errno.EACCES: _FORBIDDEN,
        errno.EPERM: _FORBIDDEN,
        errno.EROFS: _FORBIDDEN,
        errno.EISDIR: "a folder stands in its place: move it away",
    }
)
"""number of a system's error -> what to do"""
_DEVICE = re.compile(
    r"can't allocate memory|out of memory|\b(CUDA|cuDNN|CUBLAS|HIP)\b", re.I
)
"""what torch says, in a plain RuntimeError, of a machine or device that fails"""


@contextmanager
def one_line_errors() -> Iterator[None]:
    """Print an expected error as one line on stderr and exit.

    Other errors go on, with a note that asks to report them. No password and no token is
    printed meanwhile, whoever prints.
    """
    print_any_character()
    with redacting():
        yield from _one_line_errors()


def expected(error: BaseException) -> str | None:
    """The one line of an error that its user or the machine can solve; else None."""
    if isinstance(error, UserError):
        line = str(error)
    elif isinstance(error, BrokenPipeError):
        return None  # whoever read what we print has gone; there is nobody to tell
    elif of_machine(error):
        line = (
            f"the machine or its device failed ({str(error) or 'out of memory'}); free "
            "memory, or set fewer `workers` or a smaller model, and run it again"
        )
    elif of_user := user_failures.line(error):
        line = of_user
    elif isinstance(error, OSError):
        line = of_system(error)
    else:
        return None
    return " ".join(line.split())


def of_machine(error: BaseException) -> bool:
    """Whether memory or a device failed; torch is not imported to ask."""
    if isinstance(error, MemoryError):
        return True
    if type(error).__module__ == "torch" and type(error).__name__.endswith("Error"):
        return True  # OutOfMemoryError, AcceleratorError
    return isinstance(error, RuntimeError) and bool(_DEVICE.search(str(error)))


def of_system(error: OSError) -> str:
    """Say what the system refused, with the file if it has one, and what to do about it.

    >>> of_system(OSError(errno.ENOSPC, "No space", "a.json"))
    'a.json: No space; free some space and run it again; what is finished stays'
    """
    place = f"{error.filename}: " if error.filename else ""
    advice = _ADVICE.get(error.errno or 0)
    what = error.strerror or str(error) or type(error).__name__
    return f"{place}{what}" + (f"; {advice}" if advice else "")


def print_any_character() -> None:
    """Let a terminal that has no ≥ show a question mark instead of failing."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")


def _one_line_errors() -> Iterator[None]:
    try:
        with interrupts.raised():
            yield
    except (Exception, KeyboardInterrupt) as error:
        if _comes_of_ctrl_c(error):
            notes.say(interrupts.LINE)
            sys.exit(interrupts.CODE)
        line = expected(error)
        if line is not None:
            notes.say(f"lt-pipeline: {line}")
            sys.exit(WRONG_INPUT)
        if _is_fault(error):
            error.add_note(REPORT)
        raise


def _comes_of_ctrl_c(error: BaseException | None) -> bool:
    """Whether this is Ctrl-C, or what a library raises that it hits at an odd moment."""
    while error is not None and not isinstance(error, KeyboardInterrupt):
        error = error.__cause__ or error.__context__
    return error is not None


def _is_fault(error: BaseException) -> bool:
    """Whether an error is a mistake in this program; typer's exits are none."""
    of_typer = type(error).__module__.partition(".")[0] == "typer"
    return not isinstance(error, BrokenPipeError) and not of_typer
