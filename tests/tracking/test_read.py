"""Tables of an experiment are read back from its store."""

import pytest
from helpers import synthetic
from helpers.toy_store import EXPERIMENT, write

from pipeline.artifacts import files
from pipeline.tracking import TrackingError, read, store_uri, track
from pipeline.tracking.store import opened


def test_reading_gives_every_table_in_order(root):
    store = read(None, EXPERIMENT, root=root)
    order = [(r["variant"], r["seed"], r["round"]) for r in store.rounds]
    assert order == sorted(order)
    assert len(store.rounds) == 2 * 2 * 3
    assert len(store.layers) == 3 * len(store.rounds)
    assert len(store.curves) == 21 * len(store.rounds)


def test_measures_of_a_training_are_read_back_over_its_steps(root):
    for file in root.glob("artifacts/results/main/ticket/r02/s0-1/result.json"):
        result = files.load_json(file)
        for seed, facts in result["seeds"].items():
            values = [2.5, None, int(seed)]
            facts["measures"] = {"weight-norm": {"step": [0, 10, 20], "value": values}}
        files.save_json(file, result)
    write(root)
    rows = read(None, EXPERIMENT, ["ticket"], root=root).measures
    assert {(r["round"], r["measure"]) for r in rows} == {(2, "weight-norm")}
    found = [(r["seed"], r["step"], r["value"]) for r in rows]
    assert found == [(0, 0, 2.5), (0, 20, 0), (1, 0, 2.5), (1, 20, 1)]


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
    write(tmp_path, tasks=names, rounds=1)
    assert tasks_read(tmp_path) == list(names)


def test_tasks_are_ordered_by_training_if_no_order_was_tracked(tmp_path, monkeypatch):
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    synthetic.fabricate(tmp_path, tasks=("main", "wide"), rounds=1)
    for file in (tmp_path / "artifacts/timing/main").rglob("*.json"):
        file.write_text(file.read_text().replace("2026-01-02", "2026-01-03"))
    write(tmp_path, tasks=("main", "wide"), rounds=1)
    with opened(store_uri(tmp_path)) as client:
        number = client.get_experiment_by_name(EXPERIMENT).experiment_id
        client.delete_experiment_tag(number, "tasks")
    assert tasks_read(tmp_path) == ["wide", "main"]


def test_an_unknown_name_is_refused_with_the_known_ones(root, tmp_path):
    with pytest.raises(TrackingError, match=r"'typo' in sqlite.*; there is toy: give"):
        read(None, "typo", root=root)
    with pytest.raises(TrackingError, match=r"variant tiket .*; there is reinit, ticke"):
        read(None, EXPERIMENT, ["tiket"], root=root)
    with pytest.raises(TrackingError, match=r"mlflow.db does not exist; run `dvc"):
        read(None, EXPERIMENT, root=tmp_path)
    assert not (tmp_path / "mlflow.db").exists()


def test_an_experiment_without_current_results_is_refused(root):
    track(root, EXPERIMENT, None, {})
    with pytest.raises(TrackingError, match="no results of the current plan"):
        read(None, EXPERIMENT, root=root)


def test_delays_that_no_seed_has_are_censored_where_they_were_asked_for(
    tmp_path, monkeypatch
):
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.setattr(synthetic, "TRAIN", synthetic.TRAIN | {"evaluate_train": True})
    plan = {"variants": ("ticket",), "rounds": 1, "seeds": (0,)}
    synthetic.fabricate(tmp_path, **plan)
    write(tmp_path, **plan)
    rows = read(None, EXPERIMENT, root=tmp_path).rounds
    assert [row["delay"] for row in rows] == [None, None]
