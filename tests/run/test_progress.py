"""How far a stage is, where nobody looks at a terminal."""

import pytest

from pipeline.run.executors.processes import Notice, Report
from pipeline.run.progress import Display


def report(step: int, seed: int = 0) -> Report:
    return Report(seed=seed, step=step, total_steps=2000, accuracy=0.956)


def test_in_a_pipe_every_seed_has_a_line_when_it_ends(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with Display("main/ticket/r01/s0-1", (0, 1)) as progress:
        for seed in (0, 1):
            progress.show(report(100, seed))
            progress.show(report(2000, seed))
    assert capsys.readouterr() == (
        "",
        "".join(
            f"main/ticket/r01/s0-1 seed {seed}: step 2,000 of 2,000, validation accuracy "
            "95.6 %, about 0 s left\n"
            for seed in (0, 1)
        ),
    )


def test_the_time_that_a_training_waited_for_a_worker_is_not_its_own(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = iter((500.0, 520.0))
    progress = Display("main/ticket/r01/s0-1", (0, 1))
    monkeypatch.setattr("time.monotonic", lambda: next(clock))
    progress.show(report(100, 1))
    progress.show(report(1100, 1))
    assert capsys.readouterr().err.endswith("about 18 s left\n")


def test_on_a_terminal_every_seed_has_a_bar(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "120")
    monkeypatch.setenv("NO_COLOR", "1")
    with Display("main/dense/r00/s0-1", (0, 1), place="trainings 1 to 2 of 8") as progress:
        progress.show(report(1000, 1))
    shown = capsys.readouterr().err
    assert "main/dense/r00/s0-1 (trainings 1 to 2 of 8)" in shown
    assert "seed 0" in shown
    assert "1000/2000" in shown
    assert "95.6 %" in shown


def test_in_a_pipe_the_place_among_all_trainings_is_said_once(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with Display("main/dense/r00/s0-1", (0, 1), place="trainings 1 to 2 of 8"):
        pass
    assert capsys.readouterr().err == "main/dense/r00/s0-1: trainings 1 to 2 of 8\n"


def test_what_every_worker_tells_is_said_once(capsys: pytest.CaptureFixture[str]) -> None:
    with Display("main/dense/r00/s0-1", (0, 1)) as progress:
        for text in ("compiling", "compiling", "compiled"):
            progress.show(Notice(text))
    assert capsys.readouterr().err == "compiling\ncompiled\n"
