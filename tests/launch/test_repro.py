"""``lt-pipeline run`` plans and becomes ``dvc repro``."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from helpers.command import refused, run
from helpers.experiment import write

from pipeline.border import interrupts
from pipeline.config import params
from pipeline.inspect import forecast
from pipeline.plan import plan_file
from pipeline.run import stage_server
from pipeline.run.kept import bounds


class Became(SystemExit):
    """This process would be another program now."""


@pytest.fixture
def commands(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[list[str]]]:
    """The commands that this process would have become."""
    found: list[list[str]] = []

    def become(program: str, command: list[str]) -> None:
        found.append(command)
        raise Became(0)

    monkeypatch.setattr(os, "execv", become)
    monkeypatch.setattr(stage_server, "start", lambda: None)
    monkeypatch.setenv(forecast.SAID, "")  # what the command sets goes with the test
    yield found
    interrupts.let_through()  # what it would have become would have done that


def test_run_plans_and_passes_stages_and_options_on(
    experiment_root: Path, commands: list[list[str]]
) -> None:
    text = (experiment_root / "params.yaml").read_text()
    (experiment_root / "params.yaml").write_text(text.replace('"rounds": 2', '"rounds": 3'))
    ended = run(experiment_root, "run", "retrain", "--pull", "-j", "3")
    assert ended.code == 0
    assert ended.output.startswith("plan: 39 stages, 26 trainings; 8 have no result yet")
    assert os.environ[forecast.SAID] == "1"  # for the stage plan
    assert commands == [
        [
            sys.executable,
            "-m",
            "pipeline.launch.dvc",
            "repro",
            "retrain",
            "--pull",
            "-j",
            "3",
        ]
    ]
    assert plan_file.check(params.load(experiment_root), experiment_root)


def test_a_wrong_bound_of_kept_trainings_starts_nothing(
    tmp_path: Path, commands: list[list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path)
    monkeypatch.setenv(bounds.VARIABLE, "10GB")
    assert refused(tmp_path, "run").startswith("LT_TRAININGS_GB is '10GB'; give a number")
    assert commands == []


def test_wrong_settings_start_nothing(tmp_path: Path, commands: list[list[str]]) -> None:
    write(tmp_path)
    (tmp_path / "params.yaml").write_text("rounds: 0")
    assert run(tmp_path, "run").code == 2
    assert commands == []
