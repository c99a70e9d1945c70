"""``lt-pipeline`` in this process: what it printed, and how it ended."""

import sys
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from io import StringIO
from pathlib import Path

import pytest

from pipeline import cli


@dataclass(frozen=True, kw_only=True, slots=True)
class Ended:
    """A command that has ended."""

    code: int
    output: str
    errors: str


def run(root: Path, *arguments: str) -> Ended:
    """Run ``lt-pipeline`` in a folder; nothing of it stays in this process."""
    with (
        pytest.MonkeyPatch.context() as patch,
        redirect_stdout(StringIO()) as output,
        redirect_stderr(StringIO()) as errors,
    ):
        patch.chdir(root)
        patch.setattr(sys, "path", list(sys.path))
        patch.setattr(sys, "argv", ["lt-pipeline", *arguments])
        with pytest.raises(SystemExit) as ended:
            cli.main()
    code = ended.value.code
    assert isinstance(code, int)
    return Ended(code=code, output=output.getvalue(), errors=errors.getvalue())


def refused(root: Path, *arguments: str) -> str:
    """The one line with which a command is refused; nothing is written."""
    before = listing(root)
    ended = run(root, *arguments)
    assert ended.code == 2
    assert ended.output == ""
    assert len(ended.errors.splitlines()) == 1
    assert listing(root) == before
    assert ended.errors.startswith("lt-pipeline: ")
    return ended.errors.removeprefix("lt-pipeline: ").removesuffix("\n")


def listing(root: Path) -> dict[Path, int]:
    """Every file with the time it was last written."""
    return {path: path.stat().st_mtime_ns for path in sorted(root.rglob("*"))}
