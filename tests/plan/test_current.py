"""What is current is known before anything runs, and in both directions."""

import re
from pathlib import Path

import pytest
from helpers import standings
from helpers.command import refused, run
from helpers.experiment import APPROXIMATION, edited, write

from pipeline.config import params
from pipeline.plan import fingerprints, plan_file, records
from pipeline.plan.current import Standing, standing
from pipeline.plan.items import items_of
from pipeline.plan.records import LockError
from pipeline.stages import approximations

EXPORT = ("export", "--round", "1", "--out", "ticket.safetensors")
LR = {"tasks__main__train__lr": 0.2}


def now(root: Path) -> Standing:
    return standing(plan_file.asked(params.load(root), root), root)


def edit_code(root: Path, name: str) -> None:
    """Edit one file of code of this root alone, in which code is links."""
    folder = root / Path(name).parts[0] / Path(name).parts[1]
    source = folder.resolve()
    folder.unlink()
    folder.mkdir()
    for file in source.rglob("*.py"):
        copied = folder / file.relative_to(source)
        copied.parent.mkdir(parents=True, exist_ok=True)
        copied.write_text(file.read_text())
    (root / name).write_text((root / name).read_text() + "\nEDITED = True\n")


# Stale


def test_another_learning_rate_makes_all_trainings_stale_and_is_named(
    experiment_root: Path,
) -> None:
    write(experiment_root, **LR)
    found = now(experiment_root)
    assert {"train@main-s0-1", "retrain@main-ticket-r02-s0-1"} <= found.stale
    assert not found.stale & {"data@digits", "init@main-s0-1"}
    assert found.why() == "tasks.main.train.lr changed"


def test_another_draw_makes_its_variant_stale_and_no_other(experiment_root: Path) -> None:
    write(experiment_root, variants__reinit__rewind__draw=1)
    found = now(experiment_root)
    assert found.stale
    assert all("-reinit-" in stage for stage in found.stale)
    assert found.reasons == ("variants.reinit.rewind.draw",)


def test_a_line_of_an_engine_makes_its_trainings_stale(experiment_root: Path) -> None:
    edit_code(experiment_root, "pipeline/engines/reference/engine.py")
    found = now(experiment_root)
    assert "train@main-s0-1" in found.stale
    assert "init@main-s0-1" not in found.stale
    assert found.why() == "pipeline/engines/reference/engine.py changed"


def test_reasons_are_not_invented_where_the_old_inputs_file_is_gone(
    experiment_root: Path,
) -> None:
    write(experiment_root, **LR)
    current = plan_file.asked(params.load())
    fingerprints.write(standings.inputs_of(current), params.resolved())
    found = now(experiment_root)
    assert "train@main-s0-1" in found.stale
    assert found.reasons == ()
    assert "differ" in found.why()


def test_results_of_another_commit_than_the_records_are_stale(
    experiment_root: Path,
) -> None:
    """As after ``git checkout`` without ``dvc checkout``."""
    result = experiment_root / "artifacts/results/main/dense/r00/s0-1/result.json"
    result.write_text(result.read_text().replace("test_accuracy", "accuracy", 1))
    assert "retrain@main-ticket-r01-s0-1" in now(experiment_root).stale


def test_results_that_dvc_has_no_record_of_are_stale(experiment_root: Path) -> None:
    (experiment_root / records.FILE).unlink()
    found = now(experiment_root)
    assert "retrain@main-ticket-r01-s0-1" in found.stale
    assert not found.missing


# Current


def test_a_finished_experiment_is_current(experiment_root: Path) -> None:
    found = now(experiment_root)
    assert (found.stale, found.missing, found.note()) == (frozenset(), frozenset(), "")


def test_a_clone_is_current_although_nobody_wrote_its_inputs_files(
    experiment_root: Path,
) -> None:
    """As after ``dvc pull``, ``git checkout`` with ``dvc checkout``, ``dvc exp apply``."""
    for file in (experiment_root / fingerprints.FOLDER).rglob("*.txt"):
        file.unlink()
    assert now(experiment_root).stale == frozenset()


@pytest.mark.parametrize("name", ["experiment", "rounds", "workers"])
def test_settings_that_decide_no_result_make_nothing_stale(
    name: str, experiment_root: Path
) -> None:
    write(
        experiment_root, **{name: {"experiment": "other", "rounds": 3, "workers": 1}[name]}
    )
    assert now(experiment_root).stale == frozenset()


def test_going_back_is_current_again(experiment_root: Path) -> None:
    write(experiment_root, **LR)
    assert now(experiment_root).stale
    write(experiment_root)
    assert now(experiment_root).stale == frozenset()


def test_an_engine_that_nobody_uses_makes_nothing_stale(experiment_root: Path) -> None:
    edit_code(experiment_root, "pipeline/engines/sparse/engine.py")
    assert now(experiment_root).stale == frozenset()


def test_what_was_not_run_is_missing_and_not_stale(experiment_root: Path) -> None:
    write(experiment_root, rounds=3)
    found = now(experiment_root)
    assert found.stale == frozenset()
    assert "retrain@main-ticket-r03-s0-1" in found.missing


# What the commands say


@pytest.mark.parametrize("command", ["plan", "status"])
def test_plan_and_status_say_what_is_stale(command: str, experiment_root: Path) -> None:
    assert "stale (tasks" not in run(experiment_root, command).output
    write(experiment_root, **LR)
    first = run(experiment_root, command).output.splitlines()[0]
    assert re.search(r"stale \(tasks\.main\.train\.lr changed\)", first)
    assert "current" not in first


@pytest.mark.parametrize("command", ["verify"])
def test_verify_notes_that_results_are_stale(command: str, experiment_root: Path) -> None:
    assert run(experiment_root, command).errors == ""
    write(experiment_root, **LR)
    ended = run(experiment_root, command)
    assert ended.errors.startswith("note: ")
    assert "tasks.main.train.lr changed" in ended.errors


def test_a_stale_ticket_is_refused_and_exported_when_asked(experiment_root: Path) -> None:
    write(experiment_root, **LR)
    message = refused(experiment_root, *EXPORT)
    assert message.startswith(
        "main/ticket of round 1 is stale: tasks.main.train.lr changed ("
    )
    assert message.endswith("--stale takes it as it is")
    assert run(experiment_root, *EXPORT, "--stale").code == 0


def test_a_current_ticket_of_a_stale_experiment_is_exported(experiment_root: Path) -> None:
    write(experiment_root, variants__reinit__rewind__draw=1)
    assert run(experiment_root, *EXPORT).code == 0


def test_a_start_that_dvc_did_not_record_is_refused(experiment_root: Path) -> None:
    base = experiment_root / "artifacts/starts/main"
    other = (base / "reinit/r01/s0-1/s0.safetensors").read_bytes()
    (base / "ticket/r01/s0-1/s0.safetensors").write_bytes(other)
    assert "is not what DVC has recorded" in refused(experiment_root, *EXPORT)


def test_stale_results_are_not_tracked(experiment_root: Path) -> None:
    write(experiment_root, **LR)
    message = refused(experiment_root, "track")
    assert message.startswith("what would be tracked is stale: tasks.main.train.lr changed")


def test_a_stale_approximation_is_not_tracked(experiment_root: Path) -> None:
    write(experiment_root, approximations={"strong": APPROXIMATION})
    for item in items_of(plan_file.check(params.load()), "approximations"):
        approximations.run(item.key)
    standings.record(experiment_root)
    assert now(experiment_root).stale == frozenset()
    fewer = APPROXIMATION | {"candidates": 15}
    write(experiment_root, approximations={"strong": fewer})
    assert refused(experiment_root, "track").startswith(
        "what would be tracked is stale: approximations.strong.candidates changed"
    )


@pytest.mark.parametrize(
    "content", [b"", b"\xff\xfe", b"schema: '2.0'\nstages:\n  a:\n    c"]
)
def test_a_damaged_record_is_one_line(content: bytes, experiment_root: Path) -> None:
    (experiment_root / records.FILE).write_bytes(content)
    with pytest.raises(LockError, match=r"^dvc\.lock is damaged \(.*`lt-pipeline run`"):
        now(experiment_root)


def test_the_settings_of_these_tests_are_those_of_the_records() -> None:
    assert edited()["tasks"]["main"]["train"]["lr"] != LR["tasks__main__train__lr"]
