"""Be ``dvc`` with the arguments of the command line, where Ctrl-C is always one line.

    python -m pipeline.launch.dvc repro --pull

If nothing was to do, it says again what the experiment gave.

DVC says nothing of a Ctrl-C while it is imported, for a second and more; Python would
print a traceback of some file of DVC's. An interrupted stage says so itself in one line;
DVC would call that an error and, with ``--keep-going``, begin the next stage.
"""

import logging
import signal
import sys
from pathlib import Path

from pipeline.artifacts import paths
from pipeline.border import interrupts


class Interrupts(logging.Filter):
    """Leaves out what DVC logs of a Ctrl-C; a filter of the handlers of DVC's log."""

    def __init__(self) -> None:
        """Nothing has been interrupted yet."""
        super().__init__()
        self.interrupted = False

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether a record is about something else.

        Raises:
            KeyboardInterrupt: if DVC would go on with other stages.
        """
        error = _error_of(record)
        if isinstance(error, KeyboardInterrupt):
            if not self.interrupted:
                print(interrupts.LINE, file=sys.stderr)  # noqa: T201
            self.interrupted = True
            return False
        if not _is_interrupted_stage(error):
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
    from dvc.cli import main as dvc

    signal.signal(signal.SIGINT, before)
    told = Interrupts()
    for handler in logging.getLogger("dvc").handlers:
        handler.addFilter(told)
    tracked = _time_of(paths.OUTCOME)
    code = int(dvc(arguments))
    is_idle = code == 0 and _is_whole(arguments) and _time_of(paths.OUTCOME) == tracked
    if tracked and is_idle:
        print(paths.OUTCOME.read_text(encoding="utf-8"), end="", file=sys.stderr)  # noqa: T201
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
