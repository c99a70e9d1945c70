"""Groups of seeds that were run are found in whatever is left, and kept."""

import json
from pathlib import Path

import pytest
from helpers.command import run
from helpers.experiment import edited, write

from pipeline.config import params
from pipeline.plan import groups, items, plan_file, records
from pipeline.plan.current import standing
from pipeline.plan.groups import Group

FOUND: dict[Group, int] = {(0, 1): 9}


@pytest.mark.parametrize(
    ("seeds", "begun", "expected"),
    [
        ((0, 1, 2), {}, [(0, 1, 2)]),
        ((0, 1, 2), {(0, 1): 5}, [(0, 1), (2,)]),
        ((0, 2), {(0, 1): 5, (3,): 5}, [(0, 1), (2,)]),
        ((0, 1, 2, 3, 4), {(0, 1): 5, (2, 3): 5, (2, 3, 4): 5}, [(0, 1), (2, 3, 4)]),
        ((0, 1, 2, 3), {(0, 1, 2): 5, (0, 1, 3): 5}, [(0, 1, 2), (0, 1, 3)]),
        ((0, 1, 2), {(0, 1): 5, (1, 2): 0}, [(0, 1), (2,)]),
        ((0,), {(0, 1): 5, (1, 2): 5}, [(0, 1)]),
    ],
)
def test_every_finished_seed_stays_in_a_group_that_was_run(
    seeds: tuple[int, ...], begun: dict[Group, int], expected: list[Group]
) -> None:
    assert groups.settle(seeds, begun) == expected


def test_the_groups_of_a_finished_experiment_are_known(experiment_root: Path) -> None:
    assert groups.begun() == FOUND


@pytest.mark.parametrize("lock", [None, b"", b"\xff\xfe\x00"])
@pytest.mark.parametrize("plan", [None, b"", b'<<<<<<< HEAD\n      "seeds": "0,1",\n'])
def test_groups_are_found_in_the_artifacts_where_dvcs_record_is_lost(
    lock: bytes | None, plan: bytes | None, experiment_root: Path
) -> None:
    for file, content in ((records.FILE, lock), (items.plan_path(), plan)):
        file.unlink()
        if content is not None:
            file.write_bytes(content)
    assert groups.begun() == FOUND


def test_groups_are_found_in_the_record_where_there_are_no_artifacts(
    experiment_root: Path,
) -> None:
    (experiment_root / "artifacts").rename(experiment_root / "elsewhere")
    items.plan_path().unlink()
    assert groups.begun() == FOUND


@pytest.mark.parametrize(
    ("changes", "fresh", "expected"),
    [
        ({"tasks__main__train__lr": 0.2}, True, [(0,)]),
        ({}, True, [(0, 1)]),  # its results are current
        ({"tasks__main__train__lr": 0.2}, False, [(0, 1)]),  # they may be kept: Updating
    ],
)
def test_a_removed_seed_comes_back_only_with_results_that_are_kept(
    changes: dict[str, float], *, fresh: bool, expected: list[Group], experiment_root: Path
) -> None:
    (experiment_root / params.FILE).write_text(json.dumps(edited(seeds=[0], **changes)))
    if fresh:
        plan_file.write(params.load(), fresh=True)
    for _ in range(2):
        assert items.groups_in(plan_file.write(params.load())) == expected


def test_a_damaged_record_or_plan_gives_no_group_up(experiment_root: Path) -> None:
    changed = edited(seeds=[0], tasks__main__train__lr=0.2)
    (experiment_root / params.FILE).write_text(json.dumps(changed))
    plan_file.write(params.load(), fresh=True)
    records.FILE.write_text("stages:\n  a:\n    c")
    assert items.groups_in(plan_file.write(params.load())) == [(0, 1)]


def test_a_lost_plan_is_written_again_with_the_groups_that_were_run(
    experiment_root: Path,
) -> None:
    write(experiment_root, seeds=[0, 1, 2])
    items.plan_path().write_text("<<<<<<< HEAD\n{}\n=======\n>>>>>>> theirs\n")
    assert run(experiment_root, "plan").code == 0
    plan = plan_file.check(params.load())
    assert items.groups_in(plan) == [(0, 1), (2,)]
    assert standing(plan).stale == frozenset()
