"""The store is also edited by people: reading and writing live with what they do."""

import contextlib
import shutil
from pathlib import Path

import pytest
from helpers import synthetic
from helpers.toy_store import EXPERIMENT, only, runs, write

from pipeline.artifacts import files, paths
from pipeline.core.looks import DEFAULT
from pipeline.results.tables import round_results
from pipeline.tracking import TrackingError, read, store_uri, track
from pipeline.tracking.chains import chains_of
from pipeline.tracking.held import HeldRun
from pipeline.tracking.notes import MARK, merged
from pipeline.tracking.store import opened
from pipeline.tracking.write import Asked
from pipeline.tracking.write import write as write_asked


@pytest.fixture
def client(root):
    with opened(store_uri(root)) as opened_client:
        yield opened_client


@pytest.fixture
def small(tmp_path, monkeypatch):
    """A store of one variant, one seed and one round."""
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    root = tmp_path / "small"
    synthetic.fabricate(root, variants=("ticket",), rounds=1, seeds=(0,))
    write_small(root)
    return root


def write_small(root):
    return write(root, variants=("ticket",), rounds=1, seeds=(0,))


def number(client):
    return client.get_experiment_by_name(EXPERIMENT).experiment_id


def rounds(root):
    return {(r["variant"], r["seed"], r["round"]) for r in tables(root).rounds}


def tables(root):
    return read(None, EXPERIMENT, root=root)


WHOLE = {(v, s, r) for v in ("ticket", "reinit") for s in (0, 1) for r in (0, 1, 2)}


@pytest.mark.parametrize("name", ["ticket-s0", "ticket-s0-r01", "dense-s0", "dense-s0-r00"])
def test_after_a_deletion_reading_says_what_lacks_and_writing_makes_it_again(
    root, client, name
):
    whole = tables(root)
    assert whole.lacking == ()
    client.delete_run(only(root, name).info.run_id)
    assert rounds(root) < WHOLE
    missing = {
        "ticket-s0": (),  # nothing says that it was there but the workspace
        "ticket-s0-r01": ("ticket-s0 round 1",),
        "dense-s0": ("ticket-s0 round 0", "reinit-s0 round 0"),
        "dense-s0-r00": ("ticket-s0 round 0", "reinit-s0 round 0"),
    }[name]
    assert set(tables(root).lacking) == set(missing)
    report = write(root)
    made = report.created if name in ("ticket-s0", "dense-s0") else report.mended
    assert made == (name.removesuffix("-r01").removesuffix("-r00"),)
    assert tables(root) == whole
    assert len(write(root).untouched) == 6


def test_every_run_of_the_store_may_be_deleted(root, client):
    whole = tables(root)
    for run in runs(root, "tags.kind = 'round'"):
        client.delete_run(run.info.run_id)
    assert tables(root).rounds == ()
    assert len(write(root).mended) == 6
    assert tables(root) == whole
    client.delete_experiment(number(client))
    write(root)
    assert tables(root) == whole
    assert len(runs(root)) == 6 + 2 + 4 * 2


def test_every_tag_may_be_deleted_or_garbled(small):
    whole = tables(small)
    known = {tag for run in runs(small) for tag in run.data.tags}
    with opened(store_uri(small)) as client:
        for tag in sorted(name for name in known if not name.startswith("mlflow.")):
            having = [run.info.run_id for run in runs(small) if tag in run.data.tags]
            for run_id in having:
                client.set_tag(run_id, tag, "?{")
            tables_or_line(small)
            for run_id in having:
                client.delete_tag(run_id, tag)
            tables_or_line(small)
            write_small(small)
            assert tables(small) == whole, tag


def tables_or_line(root):
    with contextlib.suppress(TrackingError):
        tables(root)


def test_tags_of_the_experiment_may_be_deleted_or_garbled(root, client):
    whole = tables(root)
    for tag in ("tasks", "mlflow.sharedViewState.lt-pipeline"):
        client.set_experiment_tag(number(client), tag, "{")
        assert tables(root) == whole
        write(root)
        assert client.get_experiment(number(client)).tags[tag] != "{"


def test_what_people_write_stays_above_the_line(root, client):
    run = only(root, "ticket-s0").info.run_id
    before = client.get_run(run).data.tags["mlflow.note.content"]
    assert before.startswith(MARK)
    client.set_tag(run, "mlflow.note.content", f"My finding.\n\n{before}")
    client.set_tag(run, "mine", "1")
    client.set_experiment_tag(number(client), "mlflow.note.content", "Our plan.")
    synthetic.fabricate(root, rounds=3)
    write(root, rounds=3)
    tags = client.get_run(run).data.tags
    theirs, _, ours = tags["mlflow.note.content"].partition(MARK)
    assert theirs == "My finding.\n\n"
    assert "| 3 | 51.3 % |" in ours
    assert tags["mine"] == "1"
    note = client.get_experiment(number(client)).tags["mlflow.note.content"]
    assert note.startswith(f"Our plan.\n\n{MARK}\n\n**toy**")
    assert note.count(MARK) == 1


def test_a_note_that_people_have_emptied_is_ours_again():
    assert merged("", "ours") == merged("ours", "ours") == f"{MARK}\n\nours"
    assert merged(merged("theirs", "old"), "new") == f"theirs\n\n{MARK}\n\nnew"


def test_runs_of_other_people_are_left_alone(root, client):
    own = client.create_run(number(client), run_name="mine")
    child = client.create_run(
        number(client), run_name="below", tags={"mlflow.parentRunId": own.info.run_id}
    )
    client.delete_run(own.info.run_id)
    before = tables(root)
    assert len(write(root).untouched) == 6
    assert client.get_run(child.info.run_id).info.lifecycle_stage == "active"
    assert tables(root) == before


def test_filters_find_rounds_by_settings_density_round_and_seed(root):
    query = "params.train.lr = '0.0012' and metrics.density < 0.7 and metrics.round = 2"
    found = {run.info.run_name for run in runs(root, f"{query} and tags.kind = 'round'")}
    assert found == {f"{v}-s{s}-r02" for v in ("ticket", "reinit") for s in (0, 1)}
    (run,) = runs(
        root, "params.round = '1' and params.seed = '1' and params.variant = 'ticket'"
    )
    assert run.info.run_name == "ticket-s1-r01"
    names = {name for run in runs(root) for name in run.data.params} - {"round"}
    every = [set(run.data.params) for run in runs(root) if run.data.tags["kind"] == "round"]
    shared = {"train.lr", "data", "model.name", "seed", "variant", "task"}
    assert all(shared <= params <= names | {"round"} for params in every)


def test_the_dense_network_is_a_group_of_its_own(root):
    run = only(root, "dense-s1")
    assert run.data.tags["variant"] == "dense"
    assert run.data.tags["current"] == "true"
    assert {row["variant"] for row in tables(root).rounds} == {"ticket", "reinit"}


def test_a_run_names_its_data_and_a_round_its_artifacts(root):
    arrays = {f"{split}.labels": [0] * n for n, split in enumerate(SPLITS, start=2)}
    save_data(root, arrays)
    (root / "dvc.lock").write_text(LOCK)
    write(root)
    child = only(root, "ticket-s0-r01")
    for run in (child, only(root, "ticket-s0")):
        ((data,),) = [[i.dataset for i in run.inputs.dataset_inputs]]
        assert (data.name, data.digest) == ("mnist", "abcdef")
        assert data.profile == '{"train": 2, "validation": 3, "test": 4}'
    tags = child.data.tags
    assert tags["artifacts.trained"] == "artifacts/trained/main/ticket/r01/s0-1"
    assert tags["dvc.trained"] == "123.dir"
    assert "dvc.results" not in tags
    assert tags["cpu"] == "some CPU"
    assert "torch 2.13.0" in tags["versions"]
    assert len(write(root).untouched) == 6


SPLITS = ("train", "validation", "test")
LOCK = """\
schema: '2.0'
stages:
  prune@main-ticket-r02-s0-1:
    cmd: python -m pipeline.stages.prune main-ticket-r02-s0-1
    deps:
    - path: artifacts/trained/main/ticket/r01/s0-1
      hash: md5
      md5: older.dir
  retrain@main-ticket-r01-s0-1:
    cmd: python -m pipeline.stages.retrain main-ticket-r01-s0-1
    deps:
    - path: artifacts/results/main/ticket/r01/s0-1
      md5: 9.dir
    outs:
    - path: artifacts/trained/main/ticket/r01/s0-1
      hash: md5
      md5: 123.dir
      size: 5
"""


def save_data(root: Path, arrays: dict[str, list[int]]) -> None:
    import numpy as np

    path = root / paths.data_file("mnist")
    path.parent.mkdir(parents=True)
    found = {name: np.array(values) for name, values in arrays.items()}
    files.save_arrays(path, found, digest="abcdef")


def test_nothing_to_track_leaves_no_database(tmp_path, monkeypatch):
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    with pytest.raises(TrackingError, match="no results to track"):
        track(tmp_path, EXPERIMENT, None, synthetic.active())
    assert list(tmp_path.iterdir()) == []


# Temporary workspaces


def test_a_temporary_experiment_stands_beside_what_is_current(root, monkeypatch):
    before = tables(root)
    inside = root / ".dvc/tmp/exps/tmpabc"
    synthetic.fabricate(inside, lr=0.1)
    monkeypatch.setenv("DVC_EXP_NAME", "puffy-adze")
    report = track(inside, EXPERIMENT, None, synthetic.active())
    assert len(report.created) == 6
    assert tables(root) == before
    found = runs(root, "tags.dvc_experiment = 'puffy-adze' and tags.kind = 'chain'")
    assert {run.data.params["train.lr"] for run in found} == {"0.1"}
    assert {run.data.tags["current"] for run in runs(root, "params.train.lr = '0.1'")} == {
        "false"
    }
    monkeypatch.setenv("DVC_EXP_NAME", "other-one")
    track(inside, EXPERIMENT, None, synthetic.active())
    names = {
        run.data.tags["dvc_experiment"]
        for run in runs(root, "params.train.lr = '0.1'")
        if run.data.tags["kind"] == "chain"
    }
    assert names == {"puffy-adze, other-one"}
    shutil.rmtree(inside)
    monkeypatch.delenv("DVC_EXP_NAME")
    assert len(write(root).untouched) == 6
    assert tables(root) == before


def test_live_writing_adds_and_touches_nothing_else(root):
    synthetic.fabricate(root, rounds=3, salt="the code has changed")
    before = [(r.info.run_id, r.data.to_dictionary()) for r in runs(root)]
    active = synthetic.active(rounds=3)
    asked = Asked(
        experiment=EXPERIMENT, active=active, places=(), targets=(), looks=DEFAULT
    )
    report = write_asked(root, None, asked, live=True)
    assert len(report.untouched) == 6
    assert [(r.info.run_id, r.data.to_dictionary()) for r in runs(root)] == before


def test_a_reader_gets_the_runs_of_its_workspace_whoever_wrote_last(root):
    mine = {
        chain.key: HeldRun(name=chain.name, children=tuple(map(str, chain.digests)))
        for chain in chains_of(round_results(root, synthetic.active()))
    }
    before = read(None, EXPERIMENT, runs=mine, root=root)
    assert before == tables(root)
    synthetic.fabricate(root, lr=0.1)
    write(root)
    assert read(None, EXPERIMENT, runs=mine, root=root) == before
    assert {s["train.lr"] for s in tables(root).settings.values()} == {"0.1"}
    gone = {key.replace("/ticket/", "/other/"): run for key, run in mine.items()}
    lacking = read(None, EXPERIMENT, runs=gone, root=root).lacking
    assert lacking == ("ticket-s0", "ticket-s1")
