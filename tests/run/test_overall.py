"""A stage says which of all trainings to come it trains."""

import os
from pathlib import Path
from typing import Any

import pytest
from helpers import experiment

from pipeline.plan import compiler
from pipeline.plan.current import Standing
from pipeline.plan.items import Item, items_of
from pipeline.plan.trained import by_stage
from pipeline.run import overall

NUM_SEEDS = len(experiment.SEEDS)


@pytest.fixture
def trained(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Item]:
    """The instances that train; all are to come."""
    monkeypatch.chdir(tmp_path)
    settings = experiment.settings()
    plan = compiler.compile_plan(settings, [experiment.SEEDS])
    leave(settings, plan, frozenset(item.stage for item in items_of(plan)))
    return [item for item in items_of(plan) if item.kind.trains]


def leave(settings: Any, plan: Any, missing: frozenset[str]) -> None:  # noqa: ANN401
    found = Standing(stale=frozenset(), missing=missing, reasons=(), recorded={})
    overall.leave(settings, plan, found)


def finish(item: Item, *, before: bool = False) -> None:
    path = item.path(item.kind.shown)
    path.mkdir(parents=True)
    since = overall.FILE.stat().st_mtime
    os.utime(path, (since, since + (-1 if before else 1)))


def numbers(label: str) -> list[int]:
    return [int(word) for word in overall.place_of(label).split() if word.isdigit()]


def test_the_first_and_the_second_instance(trained: list[Item]) -> None:
    first, second = trained[:2]
    begin, end, total = numbers(first.label)
    assert (begin, end) == (1, NUM_SEEDS)
    finish(first)
    assert numbers(second.label) == [end + 1, end + NUM_SEEDS, total]
    assert numbers(first.label) == [1, NUM_SEEDS, total]  # made once more


def test_all_trainings_of_the_plan_are_counted(trained: list[Item]) -> None:
    settings = experiment.settings()
    plan = compiler.compile_plan(settings, [experiment.SEEDS])
    total = sum(one.number for one in by_stage(settings, plan).values())
    assert numbers(trained[0].label)[-1] == total
    assert total >= NUM_SEEDS * len(trained)


def test_a_result_of_before_that_is_stale_does_not_count(trained: list[Item]) -> None:
    finish(trained[0], before=True)
    assert numbers(trained[1].label)[0] == 1


def test_only_what_is_to_come_counts(trained: list[Item]) -> None:
    settings = experiment.settings()
    plan = compiler.compile_plan(settings, [experiment.SEEDS])
    leave(settings, plan, frozenset({trained[1].stage}))
    assert numbers(trained[1].label) == [1, NUM_SEEDS, NUM_SEEDS]
    assert overall.place_of(trained[0].label) == ""


@pytest.mark.parametrize("content", [None, "", "[]", "{}", '[{"label": "a"}]'])
def test_without_a_list_nothing_is_said(trained: list[Item], content: str | None) -> None:
    overall.FILE.unlink()
    if content is not None:
        overall.FILE.write_text(content)
    assert overall.place_of(trained[0].label) == ""
