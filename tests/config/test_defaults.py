"""Keys may be left out of params.yaml; then their defaults hold."""

import json
from pathlib import Path
from typing import Any

import pytest
from helpers.experiment import raw

from pipeline.config import params
from pipeline.config.params import ParamsError

SHORT = """
experiment: short
rounds: 2
seeds: [0]
tasks:
  main:
    data: digits
    model: {name: mlp, widths: [8], init: glorot-normal}
    train: {steps: 30, batch_size: 60, optimizer: adam, lr: 0.0012, evaluate_every: 10}
  other:
    data: digits
    model: {name: lenet-300-100, init: glorot-normal}
    train: {epochs: 3, batch_size: 60, optimizer: sgd, lr: 0.1, evaluate_every: 10}
variants:
  ticket:
    prune: {mask: own, criterion: magnitude, scope: global, fraction: {fc: .2, output: .2}}
    rewind: {to: theta0}
  reinit:
    prune: {mask: ticket}
    rewind: {to: reinit}
  one-task:
    tasks: [other]
    prune: {mask: ticket, transform: shuffle}
    rewind: {to: early, step: 5}
analyses:
  stable: {kind: instability, of: one-task, rounds: [1], pairs: 1}
  dense: {kind: instability, of: dense, steps: [0], pairs: 1}
"""
REST_OF_TRAIN = {
    "momentum": 0.0,
    "weight_decay": 0.0,
    "schedule": {"name": "constant", "milestones": [], "gamma": 1.0, "warmup_steps": 0},
    "augment": "none",
    "test_cadence": "improved",
    "common_noise": True,
    "engine": "auto",
    "device": "cpu",
    "processes": 1,
}


def short(**changes: object) -> dict[str, Any]:
    """SHORT with changes: ``tasks__main__train={}``."""
    value: dict[str, Any] = params.parse_yaml(SHORT)
    for path, new in changes.items():
        *parents, last = path.split("__")
        place = value
        for parent in parents:
            place = place[parent]
        place[last] = new
    return value


def refused(value: object) -> str:
    with pytest.raises(ParamsError) as caught:
        params.parse(value)
    assert len(str(caught.value).splitlines()) == 1
    return str(caught.value).removeprefix("params.yaml: ")


def test_a_key_left_out_has_its_default() -> None:
    full = params.completed(short())
    assert list(full) == [*raw()]
    assert full["workers"] is None
    assert full["data"] == {"root": "data", "download": False}
    assert full["tasks"]["main"] == {
        "data": "digits",
        "model": {"name": "mlp", "widths": [8], "init": "glorot-normal"},
        "train": {
            "steps": 30,
            "epochs": None,
            "batch_size": 60,
            "optimizer": "adam",
            "lr": 0.0012,
            "evaluate_every": 10,
        }
        | REST_OF_TRAIN,
        "compat": None,
    }
    assert full["tasks"]["other"]["model"]["widths"] is None
    assert full["tasks"]["other"]["train"]["steps"] is None


def test_a_two_line_variant_is_a_control_on_all_tasks() -> None:
    assert params.completed(short())["variants"]["reinit"] == {
        "tasks": ["main", "other"],
        "prune": {
            "mask": "ticket",
            "transform": None,
            "schedule": None,
            "criterion": None,
            "scope": None,
            "fraction": None,
        },
        "rewind": {"to": "reinit", "step": None, "draw": 0, "pruned": "zero"},
    }


def test_an_own_mask_is_cut_round_by_round() -> None:
    ticket = params.parse(short()).variants["ticket"]
    assert ticket.prune.schedule == "iterative"
    assert ticket.rewind.draw is None


def test_an_analysis_is_asked_of_the_tasks_of_its_variant() -> None:
    analyses = params.parse(short()).analyses
    assert analyses["stable"].tasks == ("other",)
    assert analyses["dense"].tasks == ("main", "other")
    assert (analyses["dense"].points, analyses["dense"].to) == (30, None)


def test_a_file_with_every_key_stays_as_it_is_written() -> None:
    spelled = raw()
    spelled["tasks"]["main"]["train"]["momentum"] = 0  # a whole number stays one
    assert json.dumps(params.completed(spelled), sort_keys=True) == json.dumps(
        spelled, sort_keys=True
    )


def test_written_out_or_left_out_is_the_same_experiment() -> None:
    value = short()
    assert params.parse(params.completed(value)) == params.parse(value)
    assert params.completed(params.completed(value)) == params.completed(value)


def test_the_file_is_not_changed_and_results_name_what_was_left_out(tmp_path: Path) -> None:
    (tmp_path / "params.yaml").write_text(SHORT)
    behind = params.behind("main", "reinit", tmp_path)
    assert behind["train"].items() >= REST_OF_TRAIN.items()
    assert behind["rewind"]["draw"] == 0
    assert behind["mask_source"]["schedule"] == "iterative"
    assert (tmp_path / "params.yaml").read_text() == SHORT


def test_every_missing_key_is_named_at_once() -> None:
    value = short(tasks__main__train={"steps": 30}, variants__reinit__rewind={})
    del value["seeds"]
    assert refused(value) == (
        "seeds, tasks.main.train.batch_size, tasks.main.train.optimizer, "
        "tasks.main.train.lr, tasks.main.train.evaluate_every and "
        "variants.reinit.rewind.to are missing; `lt-pipeline params KEY` says what to write"
    )


@pytest.mark.parametrize(
    ("path", "value", "missing"),
    [
        ("variants__ticket__prune", {"mask": "own"}, "criterion, scope, fraction"),
        ("variants__reinit__rewind", {"to": "early"}, "step"),
        (
            "tasks__main__train__schedule",
            {"name": "milestones", "milestones": [5]},
            "gamma",
        ),
        ("analyses__dense", {"kind": "instability", "of": "dense"}, "steps, pairs"),
        ("analyses__dense", {"kind": "connection", "of": "ticket"}, "to, rounds"),
    ],
)
def test_a_key_that_other_settings_need_must_be_written(
    path: str, value: object, missing: str
) -> None:
    keys = [f"{path.replace('__', '.')}.{key}" for key in missing.split(", ")]
    named = (
        f"{', '.join(keys[:-1])} and {keys[-1]} are" if len(keys) > 1 else f"{keys[0]} is"
    )
    assert refused(short(**{path: value})).startswith(f"{named} missing; ")


def test_a_length_left_out_twice_says_which_two_it_could_be() -> None:
    train = short()["tasks"]["main"]["train"]
    del train["steps"]
    assert refused(short(tasks__main__train=train)) == (
        "tasks.main.train: steps is null and epochs is null; give exactly one of them, and "
        "null or nothing for the other"
    )


def test_an_unknown_key_is_named_before_a_missing_one() -> None:
    value = short(sedes=[0])
    del value["seeds"]
    assert refused(value).startswith("unknown key sedes; did you mean seeds?")


@pytest.mark.parametrize("odd", [None, [], {}, "x", 3, [["a"]]])
@pytest.mark.parametrize(
    "path",
    ["tasks", "variants", "variants__ticket__prune__mask", "variants__reinit__rewind__to",
     "variants__one-task__tasks", "analyses__stable__of", "analyses__stable__kind"],
)  # fmt: skip
def test_odd_values_that_defaults_depend_on_are_refused_in_one_line(
    path: str, odd: object
) -> None:
    if (path, odd) != ("variants__one-task__tasks", []):
        refused(short(**{path: odd}))
