"""Finished rounds appear in the store at once; what fails there is a warning, once."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import psutil
import pytest
from helpers.tracked import runs

from pipeline.artifacts.paths import FOLDER, LIVE_LOCK, SHADOW, lock_file
from pipeline.border.locks import lock
from pipeline.results.tables import round_results
from pipeline.run import live
from pipeline.tracking import TrackingError
from pipeline.tracking import live as following
from pipeline.tracking.write import Asked


@pytest.fixture
def workspace(experiment_root: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("MLFLOW_TRACKING_URI", live.SWITCH):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[2]))
    return experiment_root


@pytest.fixture
def dvc():
    """A process that stands for dvc."""
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as p:
        yield p
        p.kill()


def waited(condition) -> bool:
    for _ in range(600):
        if condition():
            return True
        time.sleep(0.1)
    return False


def chains(root: Path) -> int:
    try:
        return len(runs(root, "toy", "tags.kind = 'chain'"))
    except (AttributeError, TrackingError):
        return 0  # it is being made


@pytest.fixture
def follow(workspace, dvc, monkeypatch):
    """Follow dvc with a stand-in for ``write``; after so many calls dvc is gone."""
    monkeypatch.setattr(following, "POLL_S", 0.001)

    def follow(stand_in: Callable[..., None], times: int) -> None:
        calls = []

        def write(*given: object, **named: object) -> None:
            stand_in(*given, **named)
            calls.append(named)
            if len(calls) == times:
                dvc.kill()
                dvc.wait()
            next(iter(following._results())).touch()

        monkeypatch.setattr(following, "write", write)
        following.follow(psutil.Process(dvc.pid))
        assert len(calls) == times

    return follow


def test_new_results_are_written_once_until_dvc_is_gone(follow) -> None:
    written = []

    def write(
        root: Path, uri: str | None, asked: Asked, *, live: bool, place: Path
    ) -> None:
        assert place == Path()
        written.append((asked.experiment, live))

    follow(write, times=2)
    assert written == [("toy", True)] * 2


def test_during_a_walk_its_results_are_written(workspace, follow) -> None:
    SHADOW.mkdir(parents=True)
    (workspace / FOLDER).rename(SHADOW / FOLDER)
    walk = lock_file("walk")
    walk.parent.mkdir(parents=True, exist_ok=True)

    def write(
        root: Path, uri: str | None, asked: Asked, *, live: bool, place: Path
    ) -> None:
        written = len(round_results(place, asked.active))
        assert (root, place, written > 0) == (Path(), SHADOW, True)

    with walk.open("w") as opened:
        lock(opened, wait=False)
        follow(write, times=1)


def test_what_a_killed_walk_has_left_hides_no_results(workspace, follow) -> None:
    (SHADOW / FOLDER).mkdir(parents=True)
    lock_file("walk").parent.mkdir(parents=True, exist_ok=True)
    lock_file("walk").touch()

    def write(*_: object, place: Path, **__: object) -> None:
        assert place == Path()

    follow(write, times=1)


def test_writing_takes_a_small_share_of_a_core(follow, monkeypatch) -> None:
    times, spent = [], [0.0]

    def write(*_: object, **__: object) -> None:
        times.append(time.monotonic())
        spent[0] += 0.04

    monkeypatch.setattr(time, "process_time", lambda: spent[0])
    follow(write, times=4)
    first, *others = (after - before for before, after in pairwise(times))
    assert first < 0.04 / following.SHARE  # it made the store
    assert all(rest >= 0.04 / following.SHARE for rest in others)


@pytest.mark.slow  # at a lower priority; what it does is tested above
def test_rounds_appear_and_the_process_ends_with_dvc(workspace, dvc) -> None:
    process = live.start(dvc.pid)
    assert waited(lambda: LIVE_LOCK.read_text().isdecimal())
    assert live.start(dvc.pid) is None  # another finished round: one process is enough
    assert waited(Path("mlflow.db").exists)
    assert waited(lambda: chains(workspace) == 5 * 2)
    dvc.kill()
    dvc.wait()
    assert process.wait(60) == 0
    assert Path(".lt/live/log.txt").read_text() == ""


def test_the_last_stage_ends_it(workspace, dvc) -> None:
    process = live.start(dvc.pid)
    assert waited(lambda: LIVE_LOCK.read_text().isdecimal())
    assert waited(lambda: psutil.Process(process.pid).nice() > psutil.Process().nice())
    following.end()
    assert process.wait(60) == -signal.SIGTERM
    following.end()


def test_a_failure_is_one_warning_without_a_password(
    workspace, dvc, monkeypatch, capsys
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://me:secret@127.0.0.1:9")
    assert live.start(dvc.pid).wait(60) == 0
    assert live.start(dvc.pid) is None
    said = capsys.readouterr().err
    assert said.startswith("warning: rounds are not written into MLflow as they finish (")
    assert "cannot be used" in said
    assert "secret" not in said
    assert live.start(dvc.pid) is None
    assert capsys.readouterr().err == ""


def test_its_log_keeps_no_password(workspace, dvc, monkeypatch, capsys) -> None:
    def warn(_: psutil.Process) -> None:
        sys.stderr.write("no answer from http://me:s3cret@host\n")

    LIVE_LOCK.parent.mkdir(parents=True)
    LIVE_LOCK.touch()
    monkeypatch.setattr(following, "follow", warn)
    monkeypatch.setattr(following, "_give_way", lambda: None)
    following.main(dvc.pid)
    assert capsys.readouterr().err == "no answer from http://me:***@host\n"


def test_it_can_be_turned_off_and_is_off_for_stages_run_by_hand(
    workspace, monkeypatch
) -> None:
    live.start(None)
    monkeypatch.setenv(live.SWITCH, "off")
    live.start(os.getpid())
    assert not LIVE_LOCK.exists()
