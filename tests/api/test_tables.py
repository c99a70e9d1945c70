"""Tidy tables are the same from a workspace and from the store it was tracked into."""

import contextlib
import shutil
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

import pipeline
from pipeline import load_curves, load_rounds
from pipeline.api.tables import SourceError
from pipeline.config import params
from pipeline.plan import compiler
from pipeline.tracking import track

COLUMNS = ["task", "variant", "seed", "round", "density", "split", "step"]


@pytest.fixture(scope="module")
def tracked(stages_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The store of the experiment, made once; read only."""
    file = tmp_path_factory.mktemp("tables") / "mlflow.db"
    with contextlib.chdir(stages_run):
        settings = params.load()
        track(
            stages_run, settings.experiment, f"sqlite:///{file}", compiler.active(settings)
        )
    return file


@pytest.fixture
def store(tracked: Path, experiment_root: Path) -> Path:
    """A copy of it for one test, in a workspace."""
    return shutil.copy(tracked, experiment_root / "mlflow.db")


def test_a_store_gives_the_tables_of_its_workspace(
    store: Path, experiment_root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir("/")
    rounds = load_rounds(experiment_root)
    assert len(rounds) == 4 * 2 * 3
    pd.testing.assert_frame_equal(rounds, load_rounds(store), check_dtype=False)
    curves = load_curves(experiment_root)
    assert list(curves.columns) == [*COLUMNS, "loss", "accuracy"]
    assert set(curves["split"]) == {"validation", "test"}
    found = load_curves(f"sqlite:///{store}", experiment="toy")
    pd.testing.assert_frame_equal(curves, found, check_dtype=False)


def test_a_store_is_read_in_a_folder_whose_name_reads_like_an_escape(
    store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "my%20dir"
    folder.mkdir()
    shutil.copy(store, folder)
    monkeypatch.chdir(folder)
    pd.testing.assert_frame_equal(load_rounds("mlflow.db"), load_rounds(store))
    assert not (tmp_path / "my dir").exists()


def test_the_tables_are_tidy(experiment_root: Path) -> None:
    rounds = load_rounds()
    assert not rounds.duplicated(["task", "variant", "seed", "round"]).any()
    means = rounds.groupby(["variant", "round"])["test_accuracy"].mean()
    assert means.between(0, 1).all()
    assert rounds["seconds"].gt(0).all()


def test_a_source_without_results_is_refused(tmp_path: Path, store: Path) -> None:
    with pytest.raises(SourceError, match="is no workspace"):
        load_rounds(tmp_path)
    settings = params.load()
    track(Path(), "second", f"sqlite:///{store}", compiler.active(settings))
    with pytest.raises(SourceError, match="name the experiment to read; the store has sec"):
        load_rounds(store)


def test_an_unknown_name_is_no_part_of_the_package() -> None:
    with pytest.raises(AttributeError, match="no attribute 'load_everything'"):
        pipeline.load_everything  # noqa: B018


def test_importing_the_package_imports_nothing_heavy() -> None:
    heavy = "{'torch', 'pandas', 'mlflow'}"
    code = f"import pipeline, sys; print(sorted({heavy} & set(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert done.stdout == "[]\n"
