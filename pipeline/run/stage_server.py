"""Serve stages from one process that has imported what they need.

    python -m pipeline.run.stage_server PID SOCKET

A stage imports for .6 s and works for .1 s. So ``lt-pipeline run`` starts this process. It
imports once, then forks a child per stage; the command of a stage hands itself over (see
``executors/served.py``) and waits. It ends with the process PID, which becomes dvc.
"""

import os
import selectors
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import traceback
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import Any

from pipeline.border.redaction import redacted
from pipeline.border.root import safe_path
from pipeline.config import params
from pipeline.plan.kinds import KINDS
from pipeline.run import instances
from pipeline.run.executors import lifeline, processes, served

STAGES = ("plan", *(kind.name for kind in KINDS.values() if kind.walked))
"""whose imports are shared; others import what these lack"""
TABLES = ("pipeline.artifacts.parquet", "pyarrow.compute")
"""which every stage with curves imports when it reads or writes them"""
BACKLOG = 8


def start() -> None:
    """Start it, for the stages of the dvc that this process becomes.

    Without it, and wherever it cannot serve, stages import for themselves.
    """
    if not hasattr(os, "pidfd_open"):  # only Linux tells of the end of any process
        return
    folder = tempfile.mkdtemp(prefix="lt-", dir=_short_folder())
    address = str(Path(folder) / "stages")
    subprocess.Popen(
        [
            sys.executable,
            *safe_path(Path()),
            "-m",
            "pipeline.run.stage_server",
            str(os.getpid()),
            address,
        ],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        env=os.environ | dict.fromkeys(processes.THREAD_VARIABLES, "1"),
    )
    os.environ[served.SOCKET] = address


def _short_folder() -> str | None:
    """A folder whose names leave room for that of a socket."""
    if len(os.fsencode(tempfile.gettempdir())) <= processes.LONGEST_FOLDER:
        return None
    return next(folder for folder in processes.SHORT_FOLDERS if os.access(folder, os.W_OK))


class Server:
    """Accepts stages until the process that it follows has ended."""

    def __init__(self, pid: int, address: str) -> None:
        self._address = address
        self._code = _stamps()
        self._followed = os.pidfd_open(pid)
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(address)
        self._listener.listen(BACKLOG)  # stages wait while this process imports
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._followed, selectors.EVENT_READ)

    def run(self) -> None:
        """Serve."""
        self._selector.register(self._listener, selectors.EVENT_READ)
        try:
            while True:
                for key, _ in self._selector.select():
                    if key.fileobj is self._followed:
                        return
                    if key.fileobj is self._listener:
                        self._accept()
                    else:
                        self._report(key.fd, *key.data)
        finally:
            shutil.rmtree(Path(self._address).parent, ignore_errors=True)

    def _accept(self) -> None:
        channel, _ = self._listener.accept()
        request, streams = served.received(channel)
        fits = served.is_of(request, Path.cwd()) and self._code == _stamps()
        pid = os.fork() if fits else None
        if pid == 0:
            self._selector.close()
            self._listener.close()
            os.close(self._followed)
            _be_the_stage(request, streams, channel)
        for stream in streams:
            os.close(stream)
        if pid is None:
            channel.close()
            return
        with suppress(OSError):
            channel.sendall(served.BEGUN)
        ended = os.pidfd_open(pid)
        self._selector.register(ended, selectors.EVENT_READ, (pid, channel))

    def _report(self, ended: int, pid: int, channel: socket.socket) -> None:
        """Tell a stage's command how the child has ended."""
        self._selector.unregister(ended)
        os.close(ended)
        _, status = os.waitpid(pid, 0)
        with suppress(OSError):  # whoever waited for it may be gone
            channel.sendall(str(os.waitstatus_to_exitcode(status)).encode())
        channel.close()


def _stamps() -> dict[str, int]:
    """The files of code, and when they were changed: edited code is not served."""
    code = Path(served.__file__).parents[2]
    return {str(file): file.stat().st_mtime_ns for file in code.rglob("*.py")}


def _be_the_stage(
    request: dict[str, Any], streams: list[int], channel: socket.socket
) -> None:
    """Run a stage as its command would; never returns."""
    code = 1
    try:
        _take_over(streams)
        os.environ.clear()
        os.environ.update(request["environment"])
        signal.signal(signal.SIGINT, signal.default_int_handler)
        threading.Thread(target=_interrupt_when_alone, args=(channel,), daemon=True).start()
        lifeline.follow(request["dvc"])
        sys.argv = [request["module"], *request["arguments"]]
        _run(request["module"])
        code = 0
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else int(ended.code is not None)
    except BaseException:
        sys.stderr.write(redacted(traceback.format_exc()))
    finally:
        with suppress(Exception):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(code)


def _take_over(streams: list[int]) -> None:
    """Let these be the standard streams, as Python makes them at its start."""
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)
    by_line = 1 if os.isatty(1) else -1
    sys.stdin = open(0, closefd=False)  # noqa: SIM115 - no path
    sys.stdout = open(1, "w", buffering=by_line, closefd=False)  # noqa: SIM115
    sys.stderr = open(2, "w", buffering=1, errors="backslashreplace", closefd=False)  # noqa: SIM115


def _run(module: str) -> None:
    """Run a stage as its file does when it is the command."""
    stage, kind = import_module(module), module.rpartition(".")[2]
    if kind in KINDS:
        instances.run_keyed(kind, stage.run)
    else:
        instances.run_single(kind, stage.run)


def _interrupt_when_alone(channel: socket.socket) -> None:
    """End like after Ctrl-C when the command of the stage is interrupted, or gone."""
    with suppress(OSError):
        channel.recv(1)
    os.kill(os.getpid(), signal.SIGINT)


def main(pid: int, address: str) -> None:
    """Import, then serve."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    server = Server(pid, address)
    for name in (*(f"pipeline.stages.{stage}" for stage in STAGES), *TABLES):
        import_module(name)
    params.validator()
    server.run()


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2])
