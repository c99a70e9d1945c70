"""A worker that fails is one line if its user or the machine can solve it."""

import errno
from multiprocessing import Pipe

import pytest
from helpers.works import Fails

from pipeline.border import exits
from pipeline.border.errors import UserError
from pipeline.run.executors import processes
from pipeline.run.executors.processes import WorkerError


def failed(error: Exception) -> str:
    with pytest.raises(WorkerError) as caught:
        processes.run_all([Fails(error)], at_once=1, preload="helpers.works", watch=print)
    return str(caught.value)


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (UserError("a file is missing;\n  run `dvc repro`"), "a file is missing; run `dvc"),
        (
            OSError(errno.ENOSPC, "No space left on device", "a.json"),
            "a.json: No space left",
        ),
        (MemoryError(), "the machine or its device failed (out of memory); free memory"),
        (
            RuntimeError("[enforce fail at alloc_cpu.cpp:117] can't allocate memory: 4 TB"),
            "the machine or its device failed ([enforce fail at",
        ),
        (RuntimeError("CUDA error: an illegal access"), "the machine or its device failed"),
    ],
)
def test_an_expected_error_in_a_worker_is_one_line(error, line, capfd):
    assert failed(error).startswith(line)
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("error", [KeyError("a"), ValueError("shapes"), RuntimeError("x")])
def test_a_fault_in_a_worker_refers_to_its_traceback(error):
    assert failed(error) == "a training process failed with exit code 1; see above"


def test_the_traceback_of_a_worker_asks_for_a_report(monkeypatch, capsys):
    monkeypatch.setattr(processes.signal, "signal", lambda *_: None)
    monkeypatch.setattr(processes.lifeline, "end_with_parent", lambda: None)
    ours, theirs = Pipe()
    with ours, theirs, pytest.raises(SystemExit):
        processes._main(Fails(KeyError("a")), theirs, ())
    said = capsys.readouterr().err
    assert said.startswith("Traceback (most recent call last):")
    assert said.endswith(f"{exits.REPORT}\n")
