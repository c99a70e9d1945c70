"""The summary run of an experiment holds its settings, tables and figures."""

import json
import shutil
import sqlite3
from pathlib import Path

import pytest
from helpers import experiment, synthetic
from helpers.tracked import runs

from pipeline import tracking
from pipeline.config import params
from pipeline.plan import items
from pipeline.tracking import store_uri
from pipeline.tracking.store import opened


@pytest.fixture(scope="module")
def template(stages_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The finished experiment, tracked and summarized once."""
    root = tmp_path_factory.mktemp("summary") / "root"
    shutil.copytree(stages_run, root)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        write(root)
    return root


@pytest.fixture
def workspace(template: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of it; its store knows where the files of its runs lay."""
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    shutil.copytree(template, tmp_path / "root")
    with sqlite3.connect(tmp_path / "root/mlflow.db") as store:
        for table, column in (
            ("runs", "artifact_uri"),
            ("experiments", "artifact_location"),
        ):
            store.execute(
                f"update {table} set {column} = replace({column}, ?, ?)",
                (str(template), str(tmp_path / "root")),
            )
    monkeypatch.chdir(tmp_path / "root")
    return tmp_path / "root"


def write(root: Path, *figures: Path):
    settings = params.load(root)
    report = tracking.write(root, None, tracking.asked_by(settings))
    tracking.summarize(root, None, settings, figures)
    return report


def artifacts(root: Path, folder: str | None = None) -> set[str]:
    (run,) = runs(root, "toy", "tags.kind = 'summary' and tags.current = 'true'")
    with opened(store_uri(root)) as client:
        return {found.path for found in client.list_artifacts(run.info.run_id, folder)}


def test_it_has_the_settings_as_written_and_in_full(workspace: Path) -> None:
    assert artifacts(workspace) >= {"params.yaml", "settings.json"}
    (file,) = (workspace / "mlruns").rglob("settings.json")
    assert json.loads(file.read_text()) == params.resolved(workspace)
    (run,) = runs(workspace, "toy", "tags.kind = 'summary'")
    assert run.data.tags["trainings"] == str(2 * (1 + 4 * 2))
    assert float(run.data.tags["training_seconds"]) > 0


def test_figures_and_tables_are_there_once_they_are_drawn(workspace: Path) -> None:
    experiment.write(workspace, rounds=1)  # MLflow remembers where it put a run's files
    (workspace / "figures").mkdir()
    figure = workspace / "figures/cost.png"
    figure.write_bytes(b"a figure")
    assert tracking.figures_of_results(workspace) == []
    tracking.note_drawn([Path("figures/cost.png")], workspace)
    assert tracking.figures_of_results(workspace) == [figure]
    write(workspace, figure)
    assert artifacts(workspace, "figures") == {"figures/cost.png"}


def test_only_what_the_stage_drew_of_these_results_counts_as_their_figures(
    tmp_path: Path,
) -> None:
    synthetic.fabricate(tmp_path)
    (tmp_path / items.plan_path(tmp_path)).write_text("{}")
    (tmp_path / "figures").mkdir()
    for name in ("cost.png", "accuracy.png", "of-a-dropped-task.png", "notes.txt"):
        (tmp_path / "figures" / name).write_text(name)
    drawn = [Path("figures/cost.png"), Path("figures/accuracy.png")]
    tracking.note_drawn(drawn, tmp_path)
    assert tracking.figures_of_results(tmp_path) == [tmp_path / name for name in drawn]
    (tmp_path / "figures/cost.png").write_text("plot --experiment another")
    assert tracking.figures_of_results(tmp_path) == [tmp_path / "figures/accuracy.png"]
    synthetic.fabricate(tmp_path, salt="other results")
    assert tracking.figures_of_results(tmp_path) == []


def test_writing_again_changes_nothing(workspace: Path) -> None:
    before = [(r.info.run_id, r.data.to_dictionary()) for r in runs(workspace, "toy")]
    write(workspace)
    after = [(r.info.run_id, r.data.to_dictionary()) for r in runs(workspace, "toy")]
    assert after == before


def test_other_settings_have_a_summary_of_their_own(workspace: Path) -> None:
    experiment.write(workspace, rounds=1)
    write(workspace)
    found = runs(workspace, "toy", "tags.kind = 'summary'")
    assert sorted(run.data.tags["current"] for run in found) == ["false", "true"]


def test_a_copied_store_writes_no_file_into_the_original(
    workspace: Path, tmp_path: Path
) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(workspace, copy)
    (workspace / "mlruns").rename(workspace / "kept")
    (copy / "params.yaml").write_text((copy / "params.yaml").read_text() + "\n")
    write(copy)
    assert not (workspace / "mlruns").exists()


def test_the_run_that_mlflow_run_makes_gets_a_name_and_says_where_results_are(
    workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from pipeline.tracking import project_run

    with opened(store_uri(workspace)) as client:
        run_id = client.create_run("0").info.run_id
        monkeypatch.setenv("MLFLOW_RUN_ID", run_id)
        project_run.name_run()
        run = client.get_run(run_id)
    assert run.info.run_name == "mlflow run: toy"
    assert (
        "[toy](http://127.0.0.1:5000/#/experiments/1/"
        in run.data.tags["mlflow.note.content"]
    )
