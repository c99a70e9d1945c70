"""Results become MLflow runs, once each."""

import base64
import json
import math
import shutil
import zlib

import pytest
from helpers import synthetic
from helpers.toy_store import EXPERIMENT, only, runs, write
from helpers.tracked import history

from pipeline.artifacts import parquet
from pipeline.results.tables import round_results
from pipeline.tracking import read, store_uri, track
from pipeline.tracking.chains import chains_of
from pipeline.tracking.formats import params
from pipeline.tracking.round_metrics import round_metrics
from pipeline.tracking.store import opened
from pipeline.tracking.timing import timing_of


def test_one_run_per_chain_and_one_child_per_round(root):
    names = {run.info.run_name for run in runs(root, "tags.kind = 'chain'")}
    variants = ("dense", "ticket", "reinit")
    assert names == {f"{variant}-s{seed}" for variant in variants for seed in (0, 1)}
    parent = only(root, "ticket-s0")
    query = f"tags.`mlflow.parentRunId` = '{parent.info.run_id}'"
    children = {run.info.run_name for run in runs(root, query)}
    assert children == {"ticket-s0-r01", "ticket-s0-r02"}
    dense = runs(root, "tags.kind = 'round' and tags.round = '0'")
    assert {run.info.run_name for run in dense} == {"dense-s0-r00", "dense-s1-r00"}


def test_the_cost_of_a_round_is_read_back(root):
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
    chains = chains_of(round_results(tmp_path, plan))
    assert [chain.name for chain in chains] == [
        "dense-s0",
        "ticket-s0",
        "wide-dense-s0",
        "wide-ticket-s0",
    ]


def test_metrics_are_logged_at_step_round_with_density_and_sparsity(root):
    run = only(root, "ticket-s0")
    density = history(root, run, "density")
    assert density == {0: 1.0, 1: 213060 / 266200, 2: 170538 / 266200}
    sparsity = history(root, run, "sparsity")
    assert all(density[step] + sparsity[step] == 1 for step in density)
    assert history(root, run, "layer_density/fc3")[1] == 0.9
    assert history(root, run, "seconds") == {0: 12.5, 1: 12.5, 2: 12.5}


def test_child_runs_hold_the_learning_curves(root):
    curve = history(root, only(root, "reinit-s1-r02"), "curve/validation_accuracy")
    table = parquet.load_curves(
        root / "artifacts/results/main/reinit/r02/s0-1/curves.parquet"
    ).to_pylist()
    assert curve == {
        row["step"]: row["accuracy"]
        for row in table
        if (row["seed"], row["split"]) == (1, "validation")
    }


def test_tags_parameters_and_notes_describe_the_run(root):
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


def test_writing_again_changes_nothing(root):
    before = [(r.info.run_id, r.data.to_dictionary()) for r in runs(root)]
    report = write(root)
    assert len(report.untouched) == 6
    assert report.created == report.appended == report.deleted == ()
    assert [(r.info.run_id, r.data.to_dictionary()) for r in runs(root)] == before


def test_more_rounds_are_appended_to_the_same_runs(root):
    before = only(root, "ticket-s0").info.run_id
    synthetic.fabricate(root, rounds=3)
    report = write(root, rounds=3)
    assert len(report.appended) == 4
    assert report.created == report.deleted == ()
    run = only(root, "ticket-s0")
    assert run.info.run_id == before
    assert sorted(history(root, run, "density")) == [0, 1, 2, 3]
    assert run.data.tags["current_rounds"] == "0-3"


def test_a_new_seed_is_a_new_run(root):
    synthetic.fabricate(root, seeds=(7,))
    report = write(root, seeds=(0, 1, 7))
    assert report.created == ("dense-s7", "ticket-s7", "reinit-s7")
    assert len(report.untouched) == 6


def test_other_results_of_the_same_settings_replace_the_run_and_its_children(root):
    synthetic.fabricate(root, salt="the code has changed")
    report = write(root)
    assert len(report.deleted) == len(report.created) == 6
    assert len(runs(root)) == 6 + 2 + 4 * 2
    assert len(read(None, EXPERIMENT, root=root, runs="all").rounds) == 4 * 3


def test_a_changed_curve_alone_is_another_result(root):
    path = root / "artifacts/results/main/ticket/r02/s0-1/curves.parquet"
    columns = parquet.load_curves(path).to_pydict()
    columns["loss"][-1] += 1.0  # the last row is of seed 1
    parquet.save_curves(path, columns)
    report = write(root)
    assert report.deleted == report.created == ("ticket-s1",)


def test_results_of_other_settings_stay_but_only_the_plans_are_current(root):
    synthetic.fabricate(root, lr=0.1)
    assert len(write(root).created) == 6
    marked = {
        (run.data.params["train.lr"], run.data.tags["current"])
        for run in runs(root, "tags.kind = 'chain'")
    }
    assert marked == {("0.0012", "false"), ("0.1", "true")}
    assert len(read(None, EXPERIMENT, root=root).rounds) == 12
    both = read(None, EXPERIMENT, ["ticket"], root=root, runs="all")
    assert {row["variant"] for row in both.rounds} == {
        "ticket (lr 0.0012)",
        "ticket (lr 0.1)",
    }
    synthetic.fabricate(root)
    assert len(write(root).untouched) == 6
    current = runs(root, "tags.kind = 'chain' and tags.current = 'true'")
    assert {run.data.params["train.lr"] for run in current} == {"0.0012"}


def test_fewer_rounds_delete_nothing_and_are_no_longer_current(root):
    assert len(write(root, rounds=1).untouched) == 6
    assert sorted(history(root, only(root, "ticket-s0"), "density")) == [0, 1, 2]
    assert only(root, "ticket-s0-r02").data.tags["current"] == "false"
    assert {r["round"] for r in read(None, EXPERIMENT, root=root).rounds} == {0, 1}
    write(root)
    assert {r["round"] for r in read(None, EXPERIMENT, root=root).rounds} == {0, 1, 2}


def test_a_removed_variant_is_no_longer_current(root):
    write(root, variants=("ticket",))
    assert {r["variant"] for r in read(None, EXPERIMENT, root=root).rounds} == {"ticket"}


def test_rounds_of_earlier_settings_are_not_mixed_in(root):
    synthetic.fabricate(root, rounds=1, lr=0.1)  # round 2 is still the old one
    assert len(write(root).created) == 6
    found = read(None, EXPERIMENT, root=root).rounds
    assert {row["round"] for row in found} == {0, 1}


def test_a_killed_write_is_finished_by_the_next_one(root):
    run = only(root, "ticket-s0")
    with opened(store_uri(root)) as client:
        first = run.data.tags["results"].split(",")[0] + "}"
        client.set_tag(run.info.run_id, "results", first)
        client.update_run(only(root, "ticket-s0-r02").info.run_id, status="RUNNING")
    assert write(root).appended == ("ticket-s0",)
    assert sorted(history(root, run, "density")) == [0, 1, 2]
    assert len(runs(root)) == 6 + 2 + 4 * 2


def test_a_diverged_round_is_marked_and_has_no_accuracy(root):
    synthetic.fabricate(root, diverged={("ticket", 2, 0)})
    write(root)
    run = only(root, "ticket-s0")
    assert run.data.tags["diverged"] == "true"
    assert history(root, run, "diverged") == {0: 0, 1: 0, 2: 1}
    accuracies = history(root, run, "test_accuracy")
    assert [math.isnan(accuracies[number]) for number in (0, 1, 2)] == [False, False, True]
    newest = run.data.metrics
    assert newest["density"] == 170538 / 266200
    assert math.isnan(newest["test_accuracy"])
    assert math.isnan(newest["early_stop_step"])
    assert "test_accuracy" not in only(root, "ticket-s0-r02").data.metrics
    with opened(store_uri(root)) as client:
        client.set_tag(run.info.run_id, "results", "{}")
    write(root)
    assert math.isnan(only(root, "ticket-s0").data.metrics["test_accuracy"])
    last = read(None, EXPERIMENT, ["ticket"], root=root).rounds[2]
    assert last["diverged"] is True
    assert last["censored"] is None
    assert last["test_accuracy"] is None


def test_a_lost_store_is_rebuilt_silently(template, root, capfd):
    (root / "mlflow.db").unlink()
    assert len(write(root).created) == 6
    assert capfd.readouterr() == ("", "")
    assert read(None, EXPERIMENT, root=root) == read(None, EXPERIMENT, root=template)


def test_missing_timing_files_change_no_result(root):
    shutil.rmtree(root / "artifacts/timing")
    assert len(write(root).untouched) == 6
    result = round_results(root, synthetic.active())[1]
    timing = timing_of(root, result)
    assert timing.started == 1577836801000
    found = {metric.name for metric in round_metrics(root, result, timing)}
    assert not found & {"seconds", "find_seconds"}


@pytest.mark.parametrize("late", ["dense/r00", "ticket/r01"])
def test_what_was_written_without_its_timing_is_made_again_once_that_is_there(
    tmp_path, monkeypatch, late
):
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    plan = {"variants": ("ticket",), "seeds": (0,)}
    root, away = tmp_path / "w", tmp_path / "away"
    synthetic.fabricate(root, **plan)
    timing = root / "artifacts/timing/main" / late
    timing.rename(away)
    write(root, **plan)
    assert len(write(root, **plan).untouched) == 2
    away.rename(timing)
    assert "ticket-s0" in write(root, **plan).mended
    rows = read(None, EXPERIMENT, root=root).rounds
    costs = [(row["seconds"], row["find_seconds"]) for row in rows if row["round"]]
    assert costs == [(12.5, 12.5), (12.5, 25)]
    parent, child = only(root, "ticket-s0"), only(root, "ticket-s0-r01")
    assert history(root, parent, "seconds") == {0: 12.5, 1: 12.5, 2: 12.5}
    assert (child.data.tags["host"], child.info.start_time) == ("somewhere", 1767322920000)
    assert len(write(root, **plan).untouched) == 2


def test_the_experiment_has_a_note_and_a_saved_view_of_the_variants(root):
    with opened(store_uri(root)) as client:
        tags = client.get_experiment_by_name(EXPERIMENT).tags
    assert "Variants ticket, reinit; 2 seeds; 2 rounds" in tags["mlflow.note.content"]
    view = json.loads(tags["mlflow.sharedViewState.lt-pipeline"])
    packed = base64.b64decode(view["state"].removeprefix("deflate;"))
    state = json.loads(zlib.decompress(packed))
    assert state["searchFilter"] == 'tags.current = "true" and tags.kind = "chain"'
    keys = state["groupBy"]["groupByKeys"]
    assert keys == [{"mode": "tag", "groupByData": tag} for tag in ("task", "variant")]
    assert "tags.`task`" in state["selectedColumns"]
    axes = [chart["selectedXAxisMetricKey"] for chart in state["compareRunCharts"]]
    assert axes == [""] * 3 + ["density"] * 3


def test_settings_become_dotted_parameters():
    settings = {"train": {"lr": 0.1, "epochs": None, "milestones": [1, 2]}, "data": "x"}
    assert params(settings) == {
        "train.lr": "0.1",
        "train.milestones": "[1, 2]",
        "data": "x",
    }
