"""Jobs of submitit do the trainings of a walk; here by its local executor."""

import signal
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from helpers.works import Killed, Says

from pipeline.config.settings import Resources
from pipeline.run.executors import ExecutorError
from pipeline.run.executors.executor import Ended, Told, wait
from pipeline.run.executors.portable import Parcel
from pipeline.run.executors.processes import Notice, Tell, Work

pytest.importorskip("submitit", reason="the extra slurm is not installed")
pytestmark = pytest.mark.filterwarnings("ignore")

from pipeline.run.executors.slurm import FOLDER, REQUEUED, SlurmJobs  # noqa: E402


@dataclass(frozen=True)
class Carried:
    """Any work, as executors of other machines take it."""

    work: Work
    done: bool = False
    needs: Resources = field(default_factory=Resources)

    def run(self, report: Tell, stop: Callable[[], bool]) -> None:
        self.work.run(report, stop)

    def is_done(self, tell: Tell) -> bool:  # noqa: ARG002
        return self.done

    def parcel(self) -> Parcel:
        raise NotImplementedError

    def take_in(self, left: Mapping[Path, bytes], tell: Tell) -> None:
        raise NotImplementedError


@pytest.mark.slow
def test_jobs_tell_how_they_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(
        "PYTHONPATH", f"{Path(__file__).parents[3]}:{Path(__file__).parents[2]}"
    )
    told: list[Told] = []
    with SlurmJobs("local") as jobs:
        jobs.begin("says", Carried(Says("x")))
        jobs.begin("killed", Carried(Killed(9)))
        jobs.begin("known", Carried(Says("no"), done=True))
        while sum(isinstance(one, Ended) for _, one in told) < 3:
            told += wait(jobs)
    assert told[0] == ("known", Ended())
    assert [one for name, one in told if name == "says"] == [Notice("x"), Ended()]
    (lost,) = [one for name, one in told if name == "killed"]
    assert isinstance(lost, Ended)
    assert lost.vanished
    assert not FOLDER.exists()


@pytest.fixture
def queue(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the scripts of jobs that wait for ever, and what was cancelled."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"), prepend=":")
    found = tmp_path / "queue"
    found.mkdir()
    commands = {
        "sbatch": f'n=$(($(ls {found} | wc -l) + 1)); cp "$1" {found}/$n; echo job $n',
        "scancel": f"echo $* >> {tmp_path}/cancelled",
        "sacct": "echo 'JobID|State'",
        "srun": "",
    }
    (tmp_path / "bin").mkdir()
    for name, command in commands.items():
        file = tmp_path / "bin" / name
        file.write_text(f"#!/bin/sh\n{command}\n")
        file.chmod(0o755)
    return found


def test_a_job_asks_for_memory_only_if_its_own_work_does(queue: Path) -> None:
    with SlurmJobs() as jobs:
        jobs.begin("a", Carried(Says("x"), needs=Resources(memory_gb=2.5)))
        jobs.begin("b", Carried(Says("x")))
        first, second = (script.read_text() for script in sorted(queue.iterdir()))
    assert "#SBATCH --mem=2560MB" in first
    assert "--mem" not in second


def test_a_job_is_queued_again_however_often_its_time_is_up(queue: Path) -> None:
    with SlurmJobs() as jobs:
        jobs.begin("a", Carried(Says("x")))
        assert jobs._jobs["a"].submission()._timeout_countdown == REQUEUED
    assert len(list(queue.iterdir())) == 1


def begun(jobs: SlurmJobs, then: Callable[[], None]) -> None:
    """Two jobs, and what happens while they run."""
    with jobs:
        for name in "ab":
            jobs.begin(name, Carried(Says("x")))
        then()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_all_jobs_are_cancelled_at_once_however_it_ends(
    number: signal.Signals, queue: Path
) -> None:
    with pytest.raises(KeyboardInterrupt):
        begun(SlurmJobs(), lambda: signal.raise_signal(number))
    (line,) = queue.with_name("cancelled").read_text().splitlines()
    assert set(line.split()) == {"--quiet", "--name=lt-pipeline", "1", "2"}


def test_a_second_ctrl_c_leaves_no_job(
    queue: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(threading.Thread, "join", interrupted)
    with pytest.raises(KeyboardInterrupt):
        begun(SlurmJobs(), lambda: None)
    assert queue.with_name("cancelled").exists()


def test_jobs_of_a_killed_process_are_cancelled_first(queue: Path) -> None:
    (FOLDER / "4711").mkdir(parents=True)
    with SlurmJobs() as jobs:
        assert "4711" in queue.with_name("cancelled").read_text()
        ((_, said),) = wait(jobs)
    assert isinstance(said, Notice)
    assert said.text == "jobs of an earlier run, which was killed, are cancelled: 1"


def test_a_machine_without_slurm_is_told_in_a_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ExecutorError, match="--on slurm: Slurm cannot be used here"):
        SlurmJobs()
