"""`lt-pipeline compare` reads a store and prints all claims."""

import json
import subprocess
import sys

from helpers import synthetic
from helpers.workspace import ROOT

from pipeline.compare import compare
from pipeline.tracking import read_all, track


def test_a_store_is_read_with_the_settings_of_its_runs(tmp_path):
    synthetic.fabricate(tmp_path, seeds=range(2), rounds=1)
    uri = f"sqlite:///{tmp_path}/mlflow.db"
    track(tmp_path, "toy", uri, synthetic.active(rounds=1))
    (found,) = read_all(uri, root=tmp_path)
    assert found.settings["main", "ticket"]["train.lr"] == "0.0012"
    assert found.settings["main", "reinit"]["rewind.to"] == "reinit"
    assert found.curves == ()
    rows = {row.id: row for row in compare([found])}
    assert rows["lenet-dense"].verdict == "not comparable"
    assert rows["winning-ticket"].claim.endswith("toy: ticket.")


def test_a_missing_store_is_read_as_no_experiments(tmp_path):
    assert read_all(f"sqlite:///{tmp_path}/none.db") == []
    assert not (tmp_path / "none.db").exists()


def test_the_command_works_without_a_store(tmp_path):
    uri = f"sqlite:///{tmp_path}/none.db"
    arguments = ["compare", "--all", "--json", "--uri", uri]
    command = [sys.executable, "-m", "pipeline.cli", *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert {row["verdict"] for row in json.loads(done.stdout)} == {"not run"}


def test_an_unknown_experiment_is_refused_in_one_line(tmp_path):
    uri = f"sqlite:///{tmp_path}/none.db"
    arguments = ["compare", "--experiment", "nope", "--uri", uri]
    command = [sys.executable, "-m", "pipeline.cli", *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.startswith("lt-pipeline: there is no tracked result yet: ")
    assert done.stderr.count("\n") == 1
