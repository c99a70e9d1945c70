"""Items of the plan: what a stage reads of its own, and what DVC sees of each."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from helpers.experiment import INSTABILITY, raw, settings, write
from helpers.workspace import ROOT

from pipeline.plan import compiler, fingerprints, items
from pipeline.plan.items import Item, PlanError, plan_path

EARLY = {"to": "early", "step": 1, "draw": None, "pruned": "zero"}
EVERYTHING: dict[str, object] = {
    "tasks__main__train__steps": 4,
    "analyses": {"stable": INSTABILITY | {"steps": [0, 2]}},
    "variants__reinit__rewind": EARLY,
}
"""changes with which there are instances of every kind"""


@pytest.fixture(autouse=True)
def _planned(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, **EVERYTHING)
    monkeypatch.chdir(tmp_path)


def test_a_stage_finds_its_item_by_its_key() -> None:
    item = items.find("retrain", "main-ticket-r02-s0-1", settings(**EVERYTHING))
    assert (item["task"], item["variant"], item.number("round")) == ("main", "ticket", 2)
    assert item.seeds == (0, 1)
    assert item.path("start") == Path("artifacts/starts/main/ticket/r02/s0-1")
    assert item.stage == "retrain@main-ticket-r02-s0-1"
    assert item.label == "main/ticket/r02/s0-1"


@pytest.mark.parametrize(
    ("kind", "key", "label"),
    [
        ("train", "main-s0-1", "main/dense/r00/s0-1"),
        ("early", "main-k000001-s0-1", "early/main/k000001/s0-1"),
        ("copies", "main-stable-r00-k000002-s0-1", "copies/main/stable/r00-k000002/s0-1"),
    ],
)
def test_labels_name_trainings_and_their_checkpoints(
    kind: str, key: str, label: str
) -> None:
    item = items.find(kind, key, settings(**EVERYTHING))
    assert item.label == label
    assert item.checkpoint == label.replace("/", "-")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["main-tickt-r02-s0-1"],
            "pipeline/plan.json has no retrain with the key main-tickt-r02-s0-1; did you "
            "mean main-ticket-r02-s0-1?",
        ),
        (["x"], "pipeline/plan.json has no retrain with the key x; it has 8 others"),
        (
            ["main", "ticket"],
            "give the key of one instance in pipeline/plan.json, and nothing else; found 2 "
            "arguments",
        ),
        (
            [],
            "give the key of one instance in pipeline/plan.json, and nothing else; found 0 "
            "arguments",
        ),
    ],
)
def test_a_wrong_key_is_one_line(
    tmp_path: Path, arguments: list[str], message: str
) -> None:
    command = [sys.executable, "-m", "pipeline.stages.retrain", *arguments]
    env = {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        command, cwd=tmp_path, env=env, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == f"lt-pipeline: {message}\n"


def test_without_a_plan_a_stage_says_how_to_write_one() -> None:
    plan_path().unlink()
    with pytest.raises(PlanError, match="is missing; write it with `lt-pipeline plan`"):
        items.find("init", "main-s0-1", settings())


def test_an_item_of_a_variant_that_is_gone_is_one_line() -> None:
    variants = {"ticket": raw()["variants"]["ticket"]}
    with pytest.raises(PlanError) as refused:
        items.find("retrain", "main-reinit-r01-s0-1", settings(variants=variants))
    assert str(refused.value) == (
        "pipeline/plan.json does not fit params.yaml (retrain@main-reinit-r01-s0-1 is of "
        "variant reinit, which is not there); run `lt-pipeline plan`"
    )


# What DVC sees: the command, the paths, and the text of the inputs file


def seen(item: Item) -> str:
    """All of an item that is in the command, the deps, the outs, or the inputs file."""
    paths = [item[name] for name in (*item.kind.reads, *item.kind.writes)]
    facts = fingerprints.decided_by(item).facts
    return json.dumps([item.kind.name, item.key, paths, facts])


def test_every_field_of_an_item_is_seen_by_dvc() -> None:
    """A path is a dep or an out; the key spells out a number; the rest is a fact."""
    plan = compiler.compile_plan(settings(**EVERYTHING), [(0, 1)])
    for item in items.items_of(plan):
        for name, value in item.fields.items():
            if name in ("seeds", "inputs"):
                continue  # the group's name, checked below; the file itself
            other = Item(
                kind=item.kind, key=item.key, fields=dict(item.fields) | {name: "another"}
            )
            spelled = name in ("round", "step")
            assert spelled or seen(other) != seen(item), f"{item.stage}: {name} {value}"


def test_items_that_differ_never_look_the_same_to_dvc() -> None:
    of_ticket = INSTABILITY | {"of": "ticket", "steps": None, "rounds": [1, 2]}
    changes: list[dict[str, object]] = [
        EVERYTHING,
        EVERYTHING | {"tasks__main__train__engine": "dense"},
        EVERYTHING | {"variants__one-shot__prune__schedule": "iterative"},
        EVERYTHING | {"variants__reinit__rewind": EARLY | {"step": 2}},
        EVERYTHING | {"rounds": 3, "analyses": {"stable": of_ticket}},
        # task a-b with variant c, and task a with variant b-c: one key
        named("a-b", "c"),
        named("a", "b-c"),
    ]
    found: dict[str, dict[str, str | int]] = {}
    for change in changes:
        for groups in ([(0, 1)], [(0,), (1, 2)]):
            asked = settings(**change)
            for item in items.items_of(compiler.compile_plan(asked, groups)):
                looks = f"{seen(item)} {item['inputs']}"
                assert found.setdefault(looks, dict(item.fields)) == dict(item.fields)


def named(task: str, variant: str) -> dict[str, object]:
    """Settings with one variant on one task, of these names."""
    known = raw()
    ticket = known["variants"]["ticket"] | {"tasks": [task]}
    return {"tasks": {task: known["tasks"]["main"]}, "variants": {variant: ticket}}


def test_more_rounds_and_seeds_leave_the_inputs_files_as_they_are() -> None:
    before = compiler.inputs_of(compiler.compile_plan(settings(**EVERYTHING), [(0, 1)]))
    more = settings(**EVERYTHING, rounds=4, seeds=[0, 1, 2])
    after = compiler.inputs_of(compiler.compile_plan(more, [(0, 1), (2,)]))
    assert before == after
