"""How a worker's end, or that of the server that starts workers, is told in one line."""

import multiprocessing
from typing import Any

import pytest

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
