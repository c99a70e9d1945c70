"""What a killed dvc leaves damaged is repaired, and nothing becomes stale or current."""

from pathlib import Path

import pytest
from helpers.command import run
from helpers.experiment import write
from ruamel.yaml import YAML

from pipeline.config import params
from pipeline.launch import repair
from pipeline.plan import plan_file, records
from pipeline.plan.current import standing
from pipeline.plan.items import items_of


@pytest.fixture(autouse=True)
def alone(experiment_root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No run of another test is seen, and DVC has a folder here."""
    (experiment_root / ".dvc/tmp").mkdir(parents=True)
    monkeypatch.setattr(repair, "_in_run_cache", lambda _: {})


def stale() -> frozenset[str]:
    return standing(plan_file.check(params.load())).stale


@pytest.mark.parametrize("content", [b"", b'{"write": {"a', b"\xff\xfe", b"[]"])
def test_a_damaged_rwlock_is_deleted_and_said(
    content: bytes, experiment_root: Path
) -> None:
    (experiment_root / repair.RWLOCK).write_bytes(content)
    assert "rwlock" in run(experiment_root, "status").errors
    assert not (experiment_root / repair.RWLOCK).exists()


@pytest.mark.parametrize("content", [b"{}", b'{"write": {}, "read": {}}'])
def test_a_whole_rwlock_stays(content: bytes, experiment_root: Path) -> None:
    (experiment_root / repair.RWLOCK).write_bytes(content)
    assert run(experiment_root, "status").errors == ""
    assert (experiment_root / repair.RWLOCK).read_bytes() == content


def test_nothing_is_repaired_while_a_run_is_going_on(
    experiment_root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(repair, "going_on", lambda *_, **__: "a run is going on: dvc")
    (experiment_root / repair.RWLOCK).write_bytes(b"")
    assert run(experiment_root, "status").output.startswith("a run is going on: dvc\n")
    assert (experiment_root / repair.RWLOCK).exists()


@pytest.mark.parametrize("kept", [0.3, 0.9])
def test_a_cut_record_is_made_whole(
    kept: float, experiment_root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, before = records.FILE.read_bytes(), records.read()
    entries = records.entries(whole)
    records.FILE.write_bytes(whole[: int(kept * len(whole))])
    plan = plan_file.check(params.load())
    monkeypatch.setattr(repair, "_in_run_cache", lambda _: entries)
    assert "have their record again" in repair.restore_records(plan, experiment_root)
    after = records.read()
    assert {item.stage: after[item.stage] for item in items_of(plan)} == {
        item.stage: before[item.stage] for item in items_of(plan)
    }
    assert repair.restore_records(plan, experiment_root) == ""


def test_what_is_left_of_a_damaged_record_is_kept(experiment_root: Path) -> None:
    whole, before = records.FILE.read_bytes(), records.read()
    records.FILE.write_bytes(whole[: len(whole) // 2] + b"\n\xff: [")
    plan = plan_file.check(params.load())
    assert "was damaged" in repair.restore_records(plan, experiment_root)
    after = records.read()
    assert all(after[name] == before[name] for name in after)
    assert len(after) >= len(before) // 2 - 2


def test_records_come_back_from_the_run_cache_and_stay_true(
    experiment_root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    entries = records.entries(records.FILE.read_bytes())
    monkeypatch.setattr(repair, "_in_run_cache", lambda _: entries)
    write(experiment_root, variants__reinit__rewind__draw=1)
    before = stale()
    assert before
    records.FILE.write_bytes(b"")
    plan = plan_file.check(params.load())
    assert "have their record again" in repair.restore_records(plan, experiment_root)
    assert stale() == before


def test_both_sides_of_a_merge_are_kept(experiment_root: Path) -> None:
    text = records.FILE.read_text()
    before = records.read()
    half = text.index("\n  retrain@") + 1
    ours, theirs = text[half:], text[half:].replace("md5: ", "md5: f", 1)
    records.FILE.write_text(
        f"{text[:half]}<<<<<<< HEAD\n{ours}=======\n{theirs}>>>>>>> other\n"
    )
    repair.restore_records(plan_file.check(params.load()), experiment_root)
    assert records.read() == before


def test_results_without_any_record_are_not_made_again_without_force(
    experiment_root: Path,
) -> None:
    records.FILE.unlink()
    ended = run(experiment_root, "plan")
    assert ended.code == 2
    assert "18 finished trainings have no record" in ended.errors
    assert run(experiment_root, "plan", "--force").code == 0


def test_results_without_their_records_are_not_made_again_without_force(
    experiment_root: Path,
) -> None:
    entries = records.entries(records.FILE.read_bytes())
    trained = [name for name in entries if name.startswith("retrain@")]

    def without(*stages: str) -> str:
        kept = {name: one for name, one in entries.items() if name not in stages}
        with records.FILE.open("w") as opened:
            YAML().dump({"schema": "2.0", "stages": kept}, opened)
        return run(experiment_root, "plan").errors

    assert without(trained[0]) == ""  # as after a kill
    assert "4 finished trainings have no record" in without(*trained[:2])


def test_a_run_beside_another_one_is_refused(
    experiment_root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(repair, "going_on", lambda *_, **__: "a run is going on: dvc")
    ended = run(experiment_root, "run")
    assert (ended.code, ended.output) == (2, "")
    assert "wait for its end" in ended.errors


@pytest.mark.parametrize(
    ("command", "walks"),
    [
        ("python3 /venv/bin/lt-pipeline run", True),
        ("python -m pipeline.cli run --on ray", True),
        ("python -m pipeline run", True),
        ("timeout 600 lt-pipeline run", False),
        ("python -m pipeline.cli status", False),
        ("python run", False),
    ],
)
def test_a_run_is_known_while_it_trains(command: str, *, walks: bool) -> None:
    assert repair._runs_stages(command.split()) is walks
