"""A stage that is served ends, prints and is interrupted as one that runs by itself."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from helpers.experiment import write

from pipeline.artifacts import paths
from pipeline.border import interrupts
from pipeline.inspect import forecast
from pipeline.run import instances
from pipeline.run.executors import lifeline, served

pytestmark = pytest.mark.skipif(
    not hasattr(os, "pidfd_open"), reason="only Linux tells of the end of any process"
)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("served")
    write(folder)
    return folder


@pytest.fixture(scope="module")
def address(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The socket of a server that follows a process of its own."""
    followed = subprocess.Popen(["sleep", "600"])
    folder = tmp_path_factory.mktemp("s")
    named = str(folder / "stages")
    module = "pipeline.run.stage_server"
    server = subprocess.Popen(
        [sys.executable, "-m", module, str(followed.pid), named], cwd=root
    )
    while not Path(named).exists():
        assert server.poll() is None
        time.sleep(0.02)
    yield named
    followed.kill()
    followed.wait()
    assert server.wait(30) == 0
    assert not folder.exists()


def started(
    root: Path, address: str, *command: str, **environment: str
) -> subprocess.Popen[str]:
    """A stage whose dvc is this process; it hears Ctrl-C even if the tests do not."""
    return subprocess.Popen(
        [
            "env",
            "--default-signal=INT",
            sys.executable,
            "-m",
            f"pipeline.stages.{command[0]}",
            *command[1:],
        ],
        cwd=root,
        env=os.environ | {lifeline.STAGE: "stage", served.SOCKET: address} | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def worker_of(root: Path, stage: str) -> int:
    """The process that held the lock of a stage last."""
    return int((root / f".lt/locks/{stage}.lock").read_text())


def test_a_stage_runs_in_a_child_of_the_server(root: Path, address: str) -> None:
    stage = started(root, address, "plan")
    _, said = stage.communicate(timeout=60)
    assert stage.returncode == 0
    assert said.startswith("plan: ")
    assert (root / "artifacts/inputs/results.txt").exists()
    assert worker_of(root, "plan") != stage.pid


def test_the_forecast_that_the_run_has_said_is_not_said_again(
    root: Path, address: str
) -> None:
    stage = started(root, address, "plan", **{forecast.SAID: "1"})
    _, said = stage.communicate(timeout=60)
    assert (stage.returncode, said) == (0, "")


def test_an_error_is_its_line_and_its_exit_code(root: Path, address: str) -> None:
    stage = started(root, address, "prune", "nothing")
    out, said = stage.communicate(timeout=60)
    assert (stage.returncode, out) == (2, "")
    assert said.startswith("lt-pipeline: pipeline/plan.json has no prune with the key")
    assert said.count("\n") == 1


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_an_interrupt_or_the_end_of_the_command_ends_the_stage(
    root: Path, address: str, number: signal.Signals
) -> None:
    with (
        instances.held("plan", root / paths.LOCKS),
        started(root, address, "plan") as stage,
    ):
        assert stage.stderr is not None
        assert "still works on it" in stage.stderr.readline()
        stage.send_signal(number)
        said = stage.stderr.read()  # until the child, which has it too, has ended
    assert stage.returncode == (interrupts.CODE if number == signal.SIGINT else -number)
    assert said == f"{interrupts.LINE}\n"


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSEGV, signal.SIGTERM])
def test_a_command_ends_by_the_signal_that_ended_its_stage(number: signal.Signals) -> None:
    code = (
        "import socket\n"
        "from pipeline.run.executors import served\n"
        "server, command = socket.socketpair()\n"
        f"server.sendall(b'{-number}')\n"
        "server.close()\n"
        "served._wait(command)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False
    )
    assert done.returncode == -number
    line = f"lt-pipeline: {served.KILLED}\n"
    assert done.stderr == (line if number == signal.SIGKILL else "")


@pytest.mark.parametrize("lacks", ["server", "workspace"])
def test_whoever_is_not_served_runs_by_itself(
    root: Path, address: str, tmp_path: Path, lacks: str
) -> None:
    folder = root
    if lacks == "workspace":
        folder = tmp_path
        write(folder)
    stage = started(folder, address if lacks == "workspace" else "/no/such", "plan")
    stage.communicate(timeout=60)
    assert stage.returncode == 0
    assert worker_of(folder, "plan") == stage.pid


def test_a_fault_is_shown_without_a_password(root: Path) -> None:
    code = (
        "import os, socket\n"
        "from pipeline.run import stage_server\n"
        "from pipeline.stages import results\n"
        "def fail():\n"
        "    raise RuntimeError('no answer from http://me:' + 's3cret@host')\n"
        "results.run = fail\n"
        "request = {'module': results.__name__, 'arguments': [], 'dvc': os.getppid(),\n"
        "           'environment': dict(os.environ)}\n"
        "streams = [os.dup(number) for number in range(3)]\n"
        "ours, theirs = socket.socketpair()\n"
        "stage_server._be_the_stage(request, streams, theirs)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert "RuntimeError: no answer from http://me:***@host" in done.stderr
    assert "s3cret" not in done.stderr
