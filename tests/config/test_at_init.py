"""Recipes that prune before any training are checked as a whole."""

from pathlib import Path
from typing import Any

import pytest

from pipeline.config import params
from pipeline.core import criteria
from pipeline.core.description import Classes, Description, Tokens, TokensAt, Vectors
from pipeline.core.models.layers import Linear, ReLU, Residual, Sign

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
            {"schedule": "early-bird", "criterion": None, "scope": "layerwise"},
            "layerwise found; early-bird works in global scope",
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


@pytest.mark.parametrize("to", ["trained-sign-reinit", "trained-magnitudes", "pruned"])
def test_the_weights_of_a_mask_do_not_move_with_it(to: str) -> None:
    own = OWN | {"schedule": "iterative", "criterion": "magnitude"}
    moved = {"mask": "a", "transform": "shuffle"}
    says = "those do not lie where shuffle puts the mask"
    assert says in problem(a=(own, THETA0), b=(moved, {"to": to}))


@pytest.mark.parametrize("criterion", ["snip", "synflow", "large-init", "random"])
def test_a_step_is_refused_where_no_trained_weight_is_looked_at(criterion: str) -> None:
    own = OWN | {"schedule": "one-shot", "criterion": criterion, "step": 3}
    says = f"prune.step: 3 found; {criterion} looks at no trained weights"
    assert says in problem(a=(own, THETA0))


def test_what_training_made_of_theta0_is_not_known_at_initialization() -> None:
    frozen = {"to": "theta0", "pruned": "freeze-init-zero-all"}
    assert "asks what training made of theta0" in problem(a=(OWN, frozen))


LAYERS = ()
TOKENS = Tokens(length=3, vocabulary=5)
TWO = Classes(number=2)
AT_PLACES = Description(inputs=TOKENS, labels=TokensAt(positions=(2,), vocabulary=5))


@pytest.mark.parametrize(
    ("criterion", "data", "says"),
    [
        ("snip", AT_PLACES, "no classes"),
        ("grasp", AT_PLACES, "no classes"),
        ("synflow", Description(inputs=TOKENS, labels=TWO), "inputs are tokens"),
        ("synflow", Description(inputs=Vectors(num_values=4), labels=TWO), ""),
        ("snip", Description(inputs=TOKENS, labels=TWO), ""),
        ("magnitude", AT_PLACES, ""),
    ],
)
def test_a_criterion_says_what_it_cannot_score(
    criterion: str, data: Description, says: str
) -> None:
    found = criteria.refusal(criterion, LAYERS, data)
    assert says in found
    assert bool(says) == bool(found)


def test_paths_are_not_followed_through_sign_units() -> None:
    plain = (Linear(name="a", inputs=3, outputs=3), ReLU())
    nested = (Residual(body=(Linear(name="b", inputs=3, outputs=3), Sign())),)
    data = Description(inputs=Vectors(num_values=3), labels=TWO)
    assert criteria.refusal("synflow", plain, data) == ""
    for network in ((*plain, Sign()), (*plain, *nested)):
        assert "sign units" in criteria.refusal("synflow-inverted", network, data)
        assert criteria.refusal("snip", network, data) == ""


def test_what_a_torch_module_lacks_is_refused_in_the_plan(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "plainnets.py").write_text(
        "from torch import nn\n"
        "def build(data):\n"
        "    return nn.Sequential(nn.Flatten(), nn.Linear(64, data.num_classes))\n"
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    task = BASE["tasks"]["main"] | {"model": {"import": "plainnets:build"}}
    own = OWN | {"fraction": {"output": 0.5}}
    recipes = {
        "phew walks through layer records, which a torch module has not (task main)": (
            own | {"criterion": "phew"},
            THETA0,
        ),
        "task main: it reads layer records, which a torch module has not": (
            own | {"schedule": "early-bird", "criterion": None},
            THETA0,
        ),
        "reinit-scaled scales the formula of an init, and task main has init: module": (
            own,
            {"to": "reinit-scaled"},
        ),
    }
    for says, recipe in recipes.items():
        asked = with_recipes(a=recipe) | {"tasks": {"main": task}}
        with pytest.raises(params.ParamsError) as caught:
            params.parse(asked)
        assert says in str(caught.value)
