"""Jobs of submitit do the trainings of a walk; here by its local executor."""

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
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]

from pipeline.run.executors.slurm import FOLDER, SlurmJobs  # noqa: E402


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


def test_a_machine_without_slurm_is_told_in_a_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ExecutorError, match="--on slurm: Slurm cannot be used here"):
        SlurmJobs()
