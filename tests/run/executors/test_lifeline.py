"""A stage ends with the dvc that started it, whenever that one dies."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.run.executors import lifeline
from pipeline.run.executors.lifeline import _Process

ROOT = Path(__file__).parents[3]
STAGE = "train@main-s0-1"
TOLD, NOT_TOLD = f"HOME=/\0{lifeline.STAGE}={STAGE}\0", "HOME=/\0"
SHELL = "/bin/sh\0-c\0python -m pipeline.stages.train main-s0-1\0"
DVC = "/venv/bin/python\0-m\0dvc\0repro\0"
INIT = "/sbin/init\0"


@pytest.fixture
def processes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> "Processes":
    monkeypatch.setattr(lifeline, "_PROC", tmp_path)
    monkeypatch.setattr(os, "getppid", lambda: 30)
    return Processes(tmp_path)


class Processes:
    """Some processes, as /proc shows them."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.add(1, 0, NOT_TOLD, INIT)

    def add(
        self, pid: int, parent: int, environ: str, command: str, *, state: str = "S"
    ) -> None:
        place = self._folder / str(pid)
        place.mkdir(exist_ok=True)
        rest = " ".join(["0"] * 17)
        (place / "stat").write_text(f"{pid} (a (b) c) {state} {parent} {rest} {pid}00 0\n")
        (place / "environ").write_text(environ)
        (place / "cmdline").write_text(command)


@pytest.mark.parametrize(
    ("command", "found"),
    [
        (DVC, True),
        ("/usr/lib/dvc/dvc\0repro\0", True),
        ("/usr/bin/python3.11\0/usr/bin/dvc\0exp\0run\0", True),
        ("/venv/bin/python\0notebook.py\0", True),  # calls dvc's functions
        ("/usr/lib/systemd/systemd\0--user\0", False),
        ("/usr/bin/tini\0--\0bash\0", False),
        ("", False),
    ],
)
@pytest.mark.parametrize("shell", [True, False])
def test_the_first_process_that_is_no_part_of_the_stage_must_be_dvc(
    processes: Processes, command: str, *, found: bool, shell: bool
) -> None:
    if shell:
        processes.add(30, 20, TOLD, SHELL)
        processes.add(20, 1, NOT_TOLD, command)
        chain = [30, 20]
    else:
        processes.add(30, 1, NOT_TOLD, command)
        chain = [30]
    up = lifeline._up_to_dvc(STAGE)
    assert [process.pid for process in up] == (chain if found else [])


def test_a_dvc_further_up_is_not_the_one_that_is_gone(processes: Processes) -> None:
    processes.add(30, 20, TOLD, SHELL)
    processes.add(20, 10, NOT_TOLD, "/usr/bin/tini\0")
    processes.add(10, 1, NOT_TOLD, DVC)
    assert lifeline._up_to_dvc(STAGE) == []


@pytest.mark.parametrize("state", ["Z", "X"])
def test_a_dvc_that_is_only_not_buried_yet_is_gone(
    processes: Processes, state: str
) -> None:
    processes.add(30, 1, NOT_TOLD, DVC, state=state)
    assert lifeline._up_to_dvc(STAGE) == []


def test_an_orphan_has_no_dvc_even_if_the_first_process_runs_python(
    processes: Processes,
) -> None:
    processes.add(30, 1, TOLD, SHELL)
    processes.add(1, 0, NOT_TOLD, "/usr/bin/python3\0/usr/bin/jupyter\0lab\0")
    assert lifeline._up_to_dvc(STAGE) == []


def test_dvc_is_the_same_when_its_terminal_is_closed_and_another_one_later(
    processes: Processes,
) -> None:
    processes.add(30, 20, NOT_TOLD, DVC)
    before = lifeline._process(30)
    processes.add(30, 1, NOT_TOLD, DVC)
    assert before is not None
    assert lifeline._process(30) == before
    assert _Process(pid=30, parent=1, born="9") != before


def test_a_stage_whose_dvc_died_at_once_ends_before_it_has_begun(tmp_path: Path) -> None:
    """Its dvc is a program that starts it and dies, so it is an orphan from the start."""
    (tmp_path / "dvc.yaml").touch()
    dvc = (
        "import os, subprocess, sys\n"
        "stage = [sys.executable, '-m', 'pipeline.stages.train', 'main-s0-1']\n"
        f"told = os.environ | {{'DVC_STAGE': '{STAGE}', 'PYTHONPATH': '{ROOT}'}}\n"
        "subprocess.Popen(['sh', '-c', 'sleep 0.2; exec \"$@\"', 'sh', *stage], env=told)\n"
    )
    ended = subprocess.run(
        [sys.executable, "-c", dvc],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    # Its output ends when the orphan does; a stage that had begun would miss its settings.
    assert (ended.stdout, ended.stderr) == ("", "")


@pytest.mark.parametrize("told", [False, True])
def test_a_stage_of_a_living_parent_runs(tmp_path: Path, *, told: bool) -> None:
    (tmp_path / "dvc.yaml").touch()
    ended = subprocess.run(
        [sys.executable, "-m", "pipeline.stages.prune", "main-ticket-r01-s0-1"],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(ROOT)} | ({"DVC_STAGE": STAGE} if told else {}),
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 2, ended.stderr
    assert "params.yaml is missing" in ended.stderr
    assert ended.returncode != -signal.SIGUSR1
