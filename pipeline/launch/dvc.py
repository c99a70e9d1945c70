"""Run ``dvc`` in this process; Ctrl-C prints one line.

    python -m pipeline.launch.dvc repro --pull

If nothing was to do, it says again what the experiment gave.

DVC says nothing of a Ctrl-C while it is imported, for a second and more; Python would
print a traceback of some file of DVC's. Later DVC tidies up for some seconds before it
says anything, and what then fails is all that it says. So the line comes with the Ctrl-C,
and nothing after it. An interrupted stage says so itself in one line, as DVC ignores a
Ctrl-C meanwhile; DVC would call that an error and, with ``--keep-going``, begin the next
stage.
"""

import logging
import os
import signal
import sys
import threading
from pathlib import Path
from types import FrameType

from pipeline.artifacts import paths
from pipeline.border import account, interrupts, notes

AGAIN_S = 0.05
"""after that time a Ctrl-C that was lost is repeated"""


class Interrupts(logging.Filter):
    """Says that there was a Ctrl-C, and keeps back what DVC logs from then on.

    It is the handler of SIGINT, and a filter of the handlers of DVC's log.
    """

    def __init__(self) -> None:
        """Nothing has been interrupted yet."""
        super().__init__()
        self.interrupted = False

    def interrupt(self, _number: int, _frame: FrameType | None) -> None:
        """Say so, once, and raise KeyboardInterrupt where DVC is at work."""
        if not self.interrupted:
            notes.say(interrupts.LINE)
        self.interrupted = True
        raise KeyboardInterrupt

    def once_more(self, ignored: "sys.UnraisableHookArgs") -> None:
        """Repeat a KeyboardInterrupt that came where Python ignores every error."""
        if isinstance(ignored.exc_value, KeyboardInterrupt):
            threading.Timer(AGAIN_S, os.kill, (os.getpid(), signal.SIGINT)).start()
        else:
            sys.__unraisablehook__(ignored)

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether a record is about something else than a Ctrl-C and what came of it.

        Raises:
            KeyboardInterrupt: if DVC would go on with other stages.
        """
        if self.interrupted:
            return False
        if not _is_interrupted_stage(_error_of(record)):
            return True
        self.interrupted = True
        if record.levelno < logging.ERROR:  # with --keep-going
            raise KeyboardInterrupt
        return False


def main(arguments: list[str]) -> int:
    """Run dvc in this process; its exit code, or 130 after a Ctrl-C."""
    before = signal.getsignal(signal.SIGINT)
    interrupts.end_in_one_line()
    interrupts.let_through()
    account.name_it()
    from dvc.cli import main as dvc

    from pipeline.launch import lock_file

    lock_file.write_stage_by_stage()
    told = Interrupts()
    if before != signal.SIG_IGN:  # as in the background
        signal.signal(signal.SIGINT, told.interrupt)
    sys.unraisablehook = told.once_more
    for handler in logging.getLogger("dvc").handlers:
        handler.addFilter(told)
    tracked = _time_of(paths.OUTCOME)
    try:
        code = int(dvc(arguments))
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # nothing is left to interrupt
    except (Exception, KeyboardInterrupt):
        if told.interrupted:  # where DVC expects it not, such as in an import
            return interrupts.CODE
        raise
    is_idle = code == 0 and _is_whole(arguments) and _time_of(paths.OUTCOME) == tracked
    if tracked and is_idle:
        notes.say(paths.OUTCOME.read_text(encoding="utf-8").rstrip("\n"))
    return interrupts.CODE if told.interrupted else code


def _is_whole(arguments: list[str]) -> bool:
    """Whether dvc was to make everything that the plan has."""
    options = arguments[1:]
    idle = {"--dry", "-h", "--help", "-q", "--quiet"}
    return (
        arguments[:1] == ["repro"]
        and all(option.startswith("-") for option in options)
        and not idle.intersection(options)
    )


def _time_of(path: Path) -> int:
    """When a file was written; 0 without one."""
    return path.stat().st_mtime_ns if path.exists() else 0


def _error_of(record: logging.LogRecord) -> BaseException | None:
    """The error that a record is about."""
    if record.exc_info:
        return record.exc_info[1]
    given = record.args[0] if isinstance(record.args, tuple) and record.args else None
    return given if isinstance(given, BaseException) else None


def _is_interrupted_stage(error: BaseException | None) -> bool:
    """Whether an error comes of a stage that Ctrl-C ended, which has said so.

    A shell between dvc and the stage may die of the signal itself.
    """
    ends = tuple(f"exited with {code}" for code in (interrupts.CODE, -signal.SIGINT))
    while error is not None:
        if str(error).endswith(ends):
            return True
        error = error.__cause__
    return False


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
