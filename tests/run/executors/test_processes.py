"""What workers import, and how their end, or that of their server, is told in one line."""

import multiprocessing
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from helpers.works import KeepsCheckpoint
from helpers.workspace import ROOT

from pipeline.border import root
from pipeline.run.executors import processes
from pipeline.run.executors.processes import WorkerError


class Dying:
    """A process whose server is killed while it starts."""

    def __init__(self, error: type[Exception]) -> None:
        self._error = error

    def start(self) -> None:
        raise self._error


class Context:
    def __init__(self, error: type[Exception]) -> None:
        self._error = error

    def Pipe(self, *, duplex: bool) -> tuple[Any, Any]:  # noqa: N802 - multiprocessing's name
        return multiprocessing.Pipe(duplex=duplex)

    def Process(self, **_: object) -> Dying:  # noqa: N802
        return Dying(self._error)


@pytest.mark.parametrize("error", [EOFError, BrokenPipeError, ConnectionRefusedError])
def test_a_server_that_is_killed_while_it_starts_is_one_line(
    monkeypatch: pytest.MonkeyPatch, error: type[Exception]
) -> None:
    monkeypatch.setattr(processes, "context", lambda _: Context(error))
    with pytest.raises(WorkerError, match=r"server .* was killed .*run `dvc repro`"):
        processes.run_all([object()], at_once=1, preload="", watch=print)


@pytest.mark.parametrize(
    ("exitcode", "said"),
    [
        (-9, "ended by SIGKILL (out of memory?); its checkpoint is kept"),
        (-11, "ended by SIGSEGV; its checkpoint is kept"),
        (255, "the server that starts training processes was killed"),
        (1, "failed with exit code 1; see above"),
    ],
)
def test_each_end_of_a_worker_has_its_line(exitcode: int, said: str) -> None:
    assert said in processes.how_it_ended(exitcode)


def test_workers_have_this_package_beside_one_of_the_user_s_with_its_name(
    tmp_path: Path,
) -> None:
    theirs = tmp_path / "theirs"
    (theirs / "pipeline").mkdir(parents=True)
    (theirs / "pipeline/__init__.py").write_text("raise SystemExit('theirs')\n")
    command = tmp_path / "command.py"
    command.write_text(
        "from pathlib import Path\n"
        "from helpers.works import Says\n"
        "from pipeline.border.root import safe_path_of_workers\n"
        "from pipeline.run.executors import processes\n"
        "if __name__ == '__main__':\n"
        "    with safe_path_of_workers(Path()):\n"
        "        works = [Says('trained')]\n"
        "        processes.run_all(works, at_once=1, preload='pipeline', watch=print)\n"
    )
    folders = os.pathsep.join(map(str, (ROOT, ROOT / "tests")))
    environment = os.environ | {"PYTHONPATH": folders}
    environment.pop(root.SAFE_PATH, None)
    done = subprocess.run(
        [sys.executable, command],
        cwd=theirs,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.stdout, done.stderr) == ("Notice(text='trained')\n", "")


def test_an_interrupt_waits_for_checkpoints_whatever_is_told_before(tmp_path: Path) -> None:
    """A thousand lines are more than a pipe holds."""

    def interrupted(_: object) -> None:
        raise KeyboardInterrupt

    work = KeepsCheckpoint(tmp_path / "kept", 1000)
    with pytest.raises(KeyboardInterrupt):
        processes.run_all([work], at_once=1, preload="helpers.works", watch=interrupted)
    assert work.checkpoint.exists()
