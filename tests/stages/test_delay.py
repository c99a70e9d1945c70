"""Delayed generalization, through every stage: a table of sums and its tickets."""

from pathlib import Path
from typing import Any

import pytest
from helpers import experiment

from pipeline.artifacts import files, paths
from pipeline.artifacts.paths import Instance
from pipeline.config import params
from pipeline.inspect import verification
from pipeline.plan import plan_file
from pipeline.plan.items import items_of

THETA0 = {"to": "theta0"}
CUT = {
    "mask": "own",
    "schedule": "one-shot",
    "criterion": "magnitude",
    "scope": "global",
    "fraction": {"embedding": 0.6, "fc": 0.6, "output": 0.6},
}
TRAIN = {
    "steps": 20,
    "batch_size": 10,
    "optimizer": "adamw",
    "lr": 0.001,
    "weight_decay": 1.0,
    "betas": [0.9, 0.98],
    "loss_precision": "float64",
    "evaluate_every": 15,
    "evaluations_per_decade": 2,
    "evaluate_train": True,
    "measures": ["weight-norm", "mask-distance"],
}


def changes() -> dict[str, Any]:
    return {
        "datasets": {"sums": {"arithmetic": {"operation": "x + y", "modulus": 5}}},
        "tasks": {
            "main": {
                "data": "sums",
                "model": {"name": "token-mlp", "widths": [8, 4]},
                "train": TRAIN,
            }
        },
        "variants": {
            "ticket": {"prune": CUT, "rewind": THETA0},
            "memorizing": {"prune": CUT | {"step": 3}, "rewind": THETA0},
        },
        "rounds": 1,
        "seeds": [0],
        "workers": 1,
    }


def test_masks_are_cut_at_a_step_and_results_say_when_sets_were_solved(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    experiment.finish(tmp_path, **changes())
    settings = params.load()
    plan = plan_file.check(settings)
    folders = {item["variant"]: item["source"] for item in items_of(plan, "prune")}
    assert folders["memorizing"] == str(paths.early_folder("main", 3, (0,)))
    looks = verification.contents(settings, plan)
    assert [problem for _, look in looks if (problem := look())] == []
    assert {f.broken for f in verification.promises.findings(settings, [(0,)])} == {""}
    dense = Instance(task="main", variant="dense", round=0, seeds=(0,))
    result = files.load_json(paths.results_folder(dense) / "result.json")
    assert result["seeds"]["0"]["generalized_step"] is None
    assert result["settings"]["train"]["loss_precision"] == "float64"
    measured = result["seeds"]["0"]["measures"]
    assert measured["weight-norm"]["step"] == [0, 1, 3, 10, 15, 20]
    assert measured["mask-distance"]["step"] == [15]
    assert 0 < measured["mask-distance"]["value"][0] < 1
    path = paths.results_folder(dense) / "result.json"
    for factor, wrong in ((1 + 1e-14, False), (1.001, True)):
        changed = files.load_json(path)
        changed["seeds"]["0"]["measures"]["weight-norm"]["value"][-1] *= factor
        files.save_json(path, changed)
        (look,) = [f for p, f in verification.contents(settings, plan) if p == path]
        assert bool(look()) == wrong
        files.save_json(path, result)
    header = (tmp_path / "results/rounds.csv").read_text().splitlines()[0]
    assert header.endswith(",fitted_step,generalized_step,delay")


@pytest.mark.parametrize(
    ("where", "value", "said"),
    [
        ("betas", [0.9, 1.0], "tasks.main.train: betas is [0.9, 1.0]; give two numbers in"),
        ("betas", [0.9], "tasks.main.train: betas is [0.9]; give two numbers in [0, 1)"),
        ("optimizer", "sgd", "tasks.main.train: betas is [0.9, 0.98] but optimizer is 'sg"),
        ("loss_precision", "float16", "tasks.main.train.loss_precision"),
        ("evaluations_per_decade", 0, "tasks.main.train: evaluations_per_decade is 0; giv"),
        ("engine", "dense", "tasks.main.train.engine: "),
        ("measures", ["weigth-norm"], "tasks.main.train: measures: unknown measure: weig"),
        (
            "measures",
            ["weight-norm"] * 2,
            "tasks.main.train: measures is ['weight-norm', '",
        ),
        ("step", 20, "variants.memorizing.prune.step: 20 found; the training of task main"),
        ("schedule", "iterative", "variants.memorizing.prune.step: 3 found; only one-shot"),
    ],
)
def test_what_is_impossible_is_one_line(where: str, value: object, said: str) -> None:
    asked = changes()
    prune = dict(asked["variants"]["memorizing"]["prune"])
    asked["variants"]["memorizing"]["prune"] = prune
    train = dict(TRAIN)
    asked["tasks"]["main"]["train"] = train
    (prune if where in ("step", "schedule") else train)[where] = value
    with pytest.raises(params.UserError) as caught:
        experiment.settings(**asked)
    assert str(caught.value).startswith(f"params.yaml: {said}")
    assert "\n" not in str(caught.value)
