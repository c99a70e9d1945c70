import base64
import json
import os
import shutil
import socket
import subprocess
import sys
import time
import zlib
from pathlib import Path

import pytest
from helpers import synthetic, tracked
from helpers.tracked import history

from pipeline.artifacts import files
from pipeline.results.tables import records
from pipeline.tracking import TrackingError, read, store_uri, track
from pipeline.tracking.chains import chains_of
from pipeline.tracking.points import clock, facts
from pipeline.tracking.store import opened
from pipeline.tracking.words import params

EXPERIMENT = "toy"
ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def template(tmp_path_factory):
    """A store with the results of two variants, two seeds, two rounds; made once."""
    root = tmp_path_factory.mktemp("template")
    synthetic.fabricate(root)
    report = track(root, EXPERIMENT, f"sqlite:///{root}/mlflow.db", synthetic.active())
    assert len(report.created) == 4
    return root


@pytest.fixture
def root(template, tmp_path, monkeypatch):
    """A workspace of one's own with the store of ``template``."""
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    shutil.copytree(template, tmp_path / "w")
    return tmp_path / "w"


def project(root, **plan):
    return track(root, EXPERIMENT, None, synthetic.active(**plan))


def runs(root, query=""):
    return tracked.runs(root, EXPERIMENT, query)


def only(root, name):
    (run,) = [r for r in runs(root) if r.info.run_name == name]
    return run


def test_one_run_per_chain_and_one_child_per_round(root):
    names = {run.info.run_name for run in runs(root, "tags.kind = 'chain'")}
    assert names == {"ticket-s0", "ticket-s1", "reinit-s0", "reinit-s1"}
    parent = only(root, "ticket-s0")
    query = f"tags.`mlflow.parentRunId` = '{parent.info.run_id}'"
    children = {run.info.run_name for run in runs(root, query)}
    assert children == {"ticket-s0-r00", "ticket-s0-r01", "ticket-s0-r02"}


def test_what_a_round_cost_is_read_back(root):
    costs = {
        (row["variant"], row["round"]): (
            row["multiply_adds"],
            row["find_multiply_adds"],
            row["seconds"],
            row["find_seconds"],
        )
        for row in read(None, EXPERIMENT, root=root).rounds
    }
    dense, first, second = (
        3 * 60 * 2000 * sum(synthetic.kept(round).values()) for round in range(3)
    )
    for variant in ("ticket", "reinit"):
        assert costs[variant, 0] == (dense, 0, 12.5, 0)
        assert costs[variant, 1] == (first, dense, 12.5, 12.5)
        assert costs[variant, 2] == (second, dense + first, 12.5, 25)


def test_a_dense_network_without_variants_is_a_run_of_its_own(root):
    synthetic.fabricate(root, tasks=("longer",), variants=())
    plan = synthetic.active() | {"longer": {"dense": (range(0), (0, 1))}}
    report = track(root, EXPERIMENT, None, plan)
    assert report.created == ("longer-dense-s0", "longer-dense-s1")
    assert track(root, EXPERIMENT, None, plan).created == ()
    run = only(root, "longer-dense-s1")
    assert run.data.tags["variant"] == "dense"
    assert run.data.tags["current_rounds"] == "0-0"
    assert run.data.params["train.steps"] == "2000"
    rows = [r for r in read(None, EXPERIMENT, root=root).rounds if r["task"] == "longer"]
    assert [(r["variant"], r["seed"], r["round"]) for r in rows] == [
        ("dense", 0, 0),
        ("dense", 1, 0),
    ]


def test_other_tasks_are_named_before_the_variant(tmp_path):
    synthetic.fabricate(tmp_path, tasks=("main", "wide"), variants=("ticket",))
    plan = synthetic.active(tasks=("main", "wide"), variants=("ticket",), seeds=(0,))
    chains = chains_of(records(tmp_path, plan))
    assert [chain.name for chain in chains] == ["ticket-s0", "wide-ticket-s0"]


def test_metrics_have_step_round_and_density_and_sparsity_beside_them(root):
    run = only(root, "ticket-s0")
    density = history(root, run, "density")
    assert density == {0: 1.0, 1: 213060 / 266200, 2: 170538 / 266200}
    sparsity = history(root, run, "sparsity")
    assert all(density[step] + sparsity[step] == 1 for step in density)
    assert history(root, run, "layer_density/fc3")[1] == 0.9
    assert history(root, run, "seconds") == {0: 12.5, 1: 12.5, 2: 12.5}


def test_child_runs_hold_the_learning_curves(root):
    curve = history(root, only(root, "reinit-s1-r02"), "curve/validation_accuracy")
    table = files.load_curves(
        root / "artifacts/results/main/reinit/r02/s0-1/curves.parquet"
    ).to_pylist()
    assert curve == {
        row["step"]: row["accuracy"]
        for row in table
        if (row["seed"], row["split"]) == (1, "validation")
    }


def test_tags_parameters_and_notes_say_what_a_run_is(root):
    run = only(root, "reinit-s1")
    tags = run.data.tags
    assert (tags["variant"], tags["seed"], tags["task"]) == ("reinit", "1", "main")
    assert (tags["data"], tags["model"]) == ("mnist", "lenet-300-100")
    assert tags["densities"] == "100 %, 80.0 %, 64.1 %"
    assert (tags["current"], tags["current_rounds"]) == ("true", "0-2")
    assert run.data.params["train.lr"] == "0.0012"
    assert "train.epochs" not in run.data.params
    assert "| 2 | 64.1 % |" in tags["mlflow.note.content"]


def test_timestamps_come_from_the_files(root):
    run = only(root, "ticket-s0-r01")
    assert run.info.start_time == 1767322920000  # 2026-01-02T03:02:00Z
    assert run.info.end_time == 1767322980000


def test_projecting_again_changes_nothing(root):
    before = [(r.info.run_id, r.data.to_dictionary()) for r in runs(root)]
    report = project(root)
    assert len(report.untouched) == 4
    assert report.created == report.appended == report.deleted == ()
    assert [(r.info.run_id, r.data.to_dictionary()) for r in runs(root)] == before


def test_more_rounds_are_appended_to_the_same_runs(root):
    before = only(root, "ticket-s0").info.run_id
    synthetic.fabricate(root, rounds=3)
    report = project(root, rounds=3)
    assert len(report.appended) == 4
    assert report.created == report.deleted == ()
    run = only(root, "ticket-s0")
    assert run.info.run_id == before
    assert sorted(history(root, run, "density")) == [0, 1, 2, 3]
    assert run.data.tags["current_rounds"] == "0-3"


def test_a_new_seed_is_a_new_run(root):
    synthetic.fabricate(root, seeds=(7,))
    report = project(root, seeds=(0, 1, 7))
    assert report.created == ("ticket-s7", "reinit-s7")
    assert len(report.untouched) == 4


def test_other_results_of_the_same_settings_replace_the_run_and_its_children(root):
    synthetic.fabricate(root, salt="the code has changed")
    report = project(root)
    assert len(report.deleted) == len(report.created) == 4
    assert len(runs(root)) == 4 + 4 * 3
    assert len(read(None, EXPERIMENT, root=root, all_runs=True).rounds) == 4 * 3


def test_a_changed_curve_alone_is_another_result(root):
    path = root / "artifacts/results/main/ticket/r02/s0-1/curves.parquet"
    columns = files.load_curves(path).to_pydict()
    columns["loss"][-1] += 1.0  # the last row is of seed 1
    files.save_curves(path, columns)
    report = project(root)
    assert report.deleted == report.created == ("ticket-s1",)


def test_results_of_other_settings_stay_and_current_moves_there_and_back(root):
    synthetic.fabricate(root, lr=0.1)
    assert len(project(root).created) == 4
    marked = {
        (run.data.params["train.lr"], run.data.tags["current"])
        for run in runs(root, "tags.kind = 'chain'")
    }
    assert marked == {("0.0012", "false"), ("0.1", "true")}
    assert len(read(None, EXPERIMENT, root=root).rounds) == 12
    both = read(None, EXPERIMENT, ["ticket"], root=root, all_runs=True)
    assert {row["variant"] for row in both.rounds} == {
        "ticket (lr 0.0012)",
        "ticket (lr 0.1)",
    }
    synthetic.fabricate(root)
    assert len(project(root).untouched) == 4
    current = runs(root, "tags.kind = 'chain' and tags.current = 'true'")
    assert {run.data.params["train.lr"] for run in current} == {"0.0012"}


def test_fewer_rounds_delete_nothing_and_are_no_longer_current(root):
    assert len(project(root, rounds=1).untouched) == 4
    assert sorted(history(root, only(root, "ticket-s0"), "density")) == [0, 1, 2]
    assert only(root, "ticket-s0-r02").data.tags["current"] == "false"
    assert {r["round"] for r in read(None, EXPERIMENT, root=root).rounds} == {0, 1}
    project(root)
    assert {r["round"] for r in read(None, EXPERIMENT, root=root).rounds} == {0, 1, 2}


def test_a_removed_variant_is_no_longer_current(root):
    project(root, variants=("ticket",))
    assert {r["variant"] for r in read(None, EXPERIMENT, root=root).rounds} == {"ticket"}


def test_rounds_of_earlier_settings_are_not_mixed_in(root):
    synthetic.fabricate(root, rounds=1, lr=0.1)  # round 2 is still the old one
    assert len(project(root).created) == 4
    found = read(None, EXPERIMENT, root=root).rounds
    assert {row["round"] for row in found} == {0, 1}


def test_a_killed_projection_is_taken_up(root):
    run = only(root, "ticket-s0")
    with opened(store_uri(root)) as client:
        first = run.data.tags["results"].split(",")[0] + "}"
        client.set_tag(run.info.run_id, "results", first)
    assert project(root).appended == ("ticket-s0",)
    assert sorted(history(root, run, "density")) == [0, 1, 2]
    assert len(runs(root)) == 4 + 4 * 3


def test_a_diverged_round_is_marked_and_has_no_accuracy(root):
    synthetic.fabricate(root, diverged={("ticket", 2, 0)})
    project(root)
    run = only(root, "ticket-s0")
    assert run.data.tags["diverged"] == "true"
    assert history(root, run, "diverged") == {0: 0, 1: 0, 2: 1}
    assert sorted(history(root, run, "test_accuracy")) == [0, 1]
    last = read(None, EXPERIMENT, ["ticket"], root=root).rounds[2]
    assert last["diverged"] is True
    assert last["test_accuracy"] is None


def test_a_lost_store_is_rebuilt_without_a_word(template, root, capfd):
    (root / "mlflow.db").unlink()
    assert len(project(root).created) == 4
    assert capfd.readouterr() == ("", "")
    assert read(None, EXPERIMENT, root=root) == read(None, EXPERIMENT, root=template)


def test_missing_timing_files_change_no_result(root):
    shutil.rmtree(root / "artifacts/timing")
    assert len(project(root).untouched) == 4
    record = records(root, synthetic.active())[1]
    assert clock(root, record).started == 1577836801000
    found = {p.name for p in facts(root, record, clock(root, record))}
    assert not found & {"seconds", "find_seconds"}


def test_two_processes_at_once_make_every_run_once(tmp_path):
    synthetic.fabricate(tmp_path, rounds=1, seeds=(0,))
    code = (
        "import synthetic, pathlib; from pipeline.tracking import track\n"
        "plan = synthetic.active(rounds=1, seeds=(0,))\n"
        f"print(track(pathlib.Path({str(tmp_path)!r}), 'toy', None, plan))"
    )
    paths = os.pathsep.join([str(ROOT), str(ROOT / "tests")])
    started = [
        subprocess.Popen(
            [sys.executable, "-c", code],
            env={**os.environ, "PYTHONPATH": paths, "MLFLOW_TRACKING_URI": ""},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(2)
    ]
    outputs = [process.communicate(timeout=60) for process in started]
    assert [err for _, err in outputs] == ["", ""]
    said = sorted(out.split(": ")[1] for out, _ in outputs)
    assert said == [
        "0 new, 0 longer, 2 unchanged, 0 replaced\n",
        "2 new, 0 longer, 0 unchanged, 0 replaced\n",
    ]


def test_an_unreachable_server_is_one_line_within_seconds(root):
    started = time.monotonic()
    with pytest.raises(TrackingError, match=r"cannot be used.*results are safe") as e:
        track(root, EXPERIMENT, "http://127.0.0.1:9", synthetic.active())
    assert "\n" not in str(e.value)
    assert time.monotonic() - started < 10


def test_a_server_that_never_answers_is_given_up_within_seconds(root):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        uri = f"http://127.0.0.1:{silent.getsockname()[1]}"
        started = time.monotonic()
        with pytest.raises(TrackingError, match="cannot be used"):
            track(root, EXPERIMENT, uri, synthetic.active())
        assert time.monotonic() - started < 10


def test_a_password_is_not_printed(root):
    uri = "postgresql://me:secret@127.0.0.1:9/x"
    with pytest.raises(TrackingError, match=r"me:\*\*\*@127") as e:
        track(root, EXPERIMENT, uri, synthetic.active())
    assert "secret" not in str(e.value)


def test_a_temporary_workspace_uses_the_store_of_the_repository_around(
    tmp_path, monkeypatch
):
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    inside = tmp_path / ".dvc/tmp/exps/tmpabc"
    inside.mkdir(parents=True)
    assert store_uri(inside) == f"sqlite:///{tmp_path}/mlflow.db"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://there")
    assert store_uri(inside) == "http://there"
    assert store_uri(inside, "http://here") == "http://here"


def test_reading_gives_every_table_in_order(root):
    store = read(None, EXPERIMENT, root=root)
    order = [(r["variant"], r["seed"], r["round"]) for r in store.rounds]
    assert order == sorted(order)
    assert len(store.rounds) == 2 * 2 * 3
    assert len(store.layers) == 3 * len(store.rounds)
    assert len(store.curves) == 21 * len(store.rounds)


def tasks_read(root):
    """Tasks in the order of rounds, which is that of settings."""
    found = read(None, EXPERIMENT, root=root)
    order = list(dict.fromkeys(row["task"] for row in found.rounds))
    assert list(dict.fromkeys(task for task, _ in found.settings)) == order
    return order


def test_tasks_come_in_the_order_of_the_plan(tmp_path, monkeypatch):
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    names = ("wide", "main", "narrow")
    synthetic.fabricate(tmp_path, tasks=names, rounds=1)
    project(tmp_path, tasks=names, rounds=1)
    assert tasks_read(tmp_path) == list(names)


def test_tasks_come_as_they_were_trained_where_no_order_was_tracked(tmp_path, monkeypatch):
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    synthetic.fabricate(tmp_path, tasks=("main", "wide"), rounds=1)
    for file in (tmp_path / "artifacts/timing/main").rglob("*.json"):
        file.write_text(file.read_text().replace("2026-01-02", "2026-01-03"))
    project(tmp_path, tasks=("main", "wide"), rounds=1)
    with opened(store_uri(tmp_path)) as client:
        number = client.get_experiment_by_name(EXPERIMENT).experiment_id
        client.delete_experiment_tag(number, "tasks")
    assert tasks_read(tmp_path) == ["wide", "main"]


def test_reading_what_is_not_there_names_what_is(root, tmp_path):
    with pytest.raises(TrackingError, match=r"'typo' in sqlite.*; there is toy: give"):
        read(None, "typo", root=root)
    with pytest.raises(TrackingError, match=r"variant tiket .*; there is reinit, ticke"):
        read(None, EXPERIMENT, ["tiket"], root=root)
    with pytest.raises(TrackingError, match=r"mlflow.db does not exist; run `dvc"):
        read(None, EXPERIMENT, root=tmp_path)
    assert not (tmp_path / "mlflow.db").exists()


def test_an_experiment_without_current_results_says_so(root):
    track(root, EXPERIMENT, None, {})
    with pytest.raises(TrackingError, match="no results of the current plan"):
        read(None, EXPERIMENT, root=root)


def test_the_experiment_has_a_note_and_a_saved_view_of_the_variants(root):
    with opened(store_uri(root)) as client:
        tags = client.get_experiment_by_name(EXPERIMENT).tags
    assert "Variants ticket, reinit; 2 seeds; 2 rounds" in tags["mlflow.note.content"]
    view = json.loads(tags["mlflow.sharedViewState.lt-pipeline"])
    packed = base64.b64decode(view["state"].removeprefix("deflate;"))
    state = json.loads(zlib.decompress(packed))
    assert state["searchFilter"] == 'tags.current = "true" and tags.kind = "chain"'
    assert state["groupBy"]["groupByKeys"] == [{"mode": "tag", "groupByData": "variant"}]
    axes = [chart["selectedXAxisMetricKey"] for chart in state["compareRunCharts"]]
    assert axes == [""] * 3 + ["density"] * 3


def test_settings_become_dotted_parameters():
    settings = {"train": {"lr": 0.1, "epochs": None, "milestones": [1, 2]}, "data": "x"}
    assert params(settings) == {
        "train.lr": "0.1",
        "train.milestones": "[1, 2]",
        "data": "x",
    }


def test_the_run_of_an_mlflow_project_is_not_taken_over(root, monkeypatch):
    monkeypatch.setenv("MLFLOW_RUN_ID", "0" * 32)
    project(root)
    assert "MLFLOW_RUN_ID" not in os.environ
