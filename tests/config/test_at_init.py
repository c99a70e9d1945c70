"""Recipes that prune before any training are checked as a whole."""

from typing import Any

import pytest

from pipeline.config import params

BASE: dict[str, Any] = {
    "experiment": "x",
    "rounds": 2,
    "seeds": [0],
    "tasks": {
        "main": {
            "data": "digits",
            "model": {"name": "mlp", "widths": [8], "init": "glorot-normal"},
            "train": {
                "steps": 10,
                "batch_size": 10,
                "optimizer": "sgd",
                "lr": 0.1,
                "evaluate_every": 5,
            },
        }
    },
}
OWN = {
    "mask": "own",
    "schedule": "at-init",
    "criterion": "snip",
    "scope": "global",
    "fraction": {"fc": 0.5, "output": 0.5},
}


def with_recipes(**variants: tuple[dict[str, Any], dict[str, Any]]) -> dict[str, Any]:
    found = {name: {"prune": p, "rewind": r} for name, (p, r) in variants.items()}
    return BASE | {"variants": found}


def problem(**variants: tuple[dict[str, Any], dict[str, Any]]) -> str:
    with pytest.raises(params.ParamsError) as caught:
        params.parse(with_recipes(**variants))
    return str(caught.value)


THETA0 = {"to": "theta0"}


@pytest.mark.parametrize("criterion", ["snip", "grasp", "synflow", "phew", "random"])
def test_a_recipe_at_initialization_is_accepted(criterion: str) -> None:
    settings = params.parse(
        with_recipes(
            a=(OWN | {"criterion": criterion}, THETA0),
            shuffled=({"mask": "a", "transform": "shuffle"}, THETA0),
            reinit=({"mask": "a"}, {"to": "reinit"}),
        )
    )
    assert not settings.variants["a"].prune.policy.looks_at_trained


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"criterion": "magnitude"}, "magnitude looks at trained weights, and at-init"),
        ({"criterion": "phew", "scope": "layerwise"}, "phew works in global scope"),
        (
            {"criterion": "phew", "schedule": "iterative"},
            "iterative found; phew cuts a mask that keeps everything: write one-shot or",
        ),
        (
            {"criterion": "random", "schedule": "iterative", "scope": "erk"},
            "iterative found; erk scope cuts a mask that keeps everything: write one-shot",
        ),
        (
            {"scope": "erk", "fraction": {"fc": 0.5, "output": 0.25}},
            "erk scope pools the layers, so one fraction is needed",
        ),
    ],
)
def test_what_does_not_fit_is_one_line(changes: dict[str, Any], says: str) -> None:
    assert says in problem(a=(OWN | changes, THETA0))


def test_a_start_that_needs_trained_weights_finds_none() -> None:
    start = {"to": "trained-sign-reinit"}
    says = "at-init gives it before training; write theta0 or reinit"
    assert says in problem(a=(OWN, start))
    assert says in problem(a=(OWN, THETA0), b=({"mask": "a"}, start))


def test_what_training_made_of_theta0_is_not_known_at_initialization() -> None:
    frozen = {"to": "theta0", "pruned": "freeze-init-zero-all"}
    assert "asks what training made of theta0" in problem(a=(OWN, frozen))
