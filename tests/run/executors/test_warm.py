"""Warm workers do one piece of work after another, and tell of each how it ended."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from helpers.works import Fails, KeepsCheckpoint, Killed, Says, SaysProcess

from pipeline.border.errors import UserError
from pipeline.run.executors import executor
from pipeline.run.executors.executor import Ended, Told
from pipeline.run.executors.processes import Notice
from pipeline.run.executors.warm import WarmWorkers


@pytest.fixture(scope="module")
def workers() -> Iterator[WarmWorkers]:
    with WarmWorkers(1, ["helpers.works"]) as found:
        yield found


def told_until_the_end(workers: WarmWorkers, name: str) -> list[Told]:
    found: list[Told] = []
    while (name, Ended) not in [(one, type(told)) for one, told in found]:
        found += executor.wait(workers)
    return found


def test_a_process_does_one_work_after_another(workers: WarmWorkers) -> None:
    said = []
    for name in ("a", "b"):
        assert workers.free == 1
        workers.begin(name, SaysProcess())
        assert workers.free == 0
        (_, first), (_, end) = told_until_the_end(workers, name)
        assert end == Ended()
        said.append(first)
    assert said[0] == said[1] != Notice(str(os.getpid()))


def test_an_expected_error_is_one_line_and_the_process_goes_on(
    workers: WarmWorkers,
) -> None:
    workers.begin("a", Fails(UserError("no such file;\n run it again")))
    assert told_until_the_end(workers, "a") == [("a", Ended("no such file; run it again"))]
    workers.begin("b", Says("on"))
    assert told_until_the_end(workers, "b")[0] == ("b", Notice("on"))


def test_a_killed_process_is_told_and_replaced(workers: WarmWorkers) -> None:
    workers.begin("a", Killed(signal.SIGKILL))
    ((_, end),) = told_until_the_end(workers, "a")
    assert isinstance(end, Ended)
    assert end.vanished
    assert "ended by SIGKILL (out of memory?)" in end.error
    workers.begin("b", Says("on"))
    assert told_until_the_end(workers, "b")[0] == ("b", Notice("on"))


def test_the_end_stops_works_that_wait_to_be_asked() -> None:
    from helpers.works import UntilStopped

    with WarmWorkers(1, ["helpers.works"]) as workers:
        workers.begin("a", UntilStopped())
        assert list(executor.wait(workers)) == [("a", Notice("begun"))]
        (process,) = [worker.process for worker in workers._workers]
    assert process.exitcode == 0


@pytest.mark.parametrize("telling", [1, 1000])
def test_the_end_waits_for_checkpoints_whatever_is_told_before(
    telling: int, tmp_path: Path
) -> None:
    """A thousand lines are more than a pipe holds."""
    with WarmWorkers(2, ["helpers.works"]) as workers:
        for name in "ab":
            workers.begin(name, KeepsCheckpoint(tmp_path / name, telling))
        told: list[Told] = []
        while len(told) < 2:
            told += executor.wait(workers)
    assert {one.name for one in tmp_path.iterdir()} == {"a", "b"}


def test_the_end_stops_a_process_whose_last_words_nobody_has_read() -> None:
    with WarmWorkers(1, ["helpers.works"]) as workers:
        workers.begin("a", Says("x"))
        (channel,) = workers.channels
        assert channel.poll(None)
        (process,) = [worker.process for worker in workers._workers]
    assert process.exitcode == 0
