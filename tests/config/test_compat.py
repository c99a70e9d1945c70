"""``compat: southampton``: what it refuses, and a toy chain of it from end to end."""

from copy import deepcopy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers import experiment, standings
from helpers.command import run
from helpers.experiment import INSTABILITY, SEEDS, at, raw, settings

from pipeline.artifacts import files, parquet, paths
from pipeline.artifacts.paths import DENSE
from pipeline.config import params
from pipeline.config.params import ParamsError
from pipeline.core.programs import southampton
from pipeline.plan import compiler, plan_file

TRAIN = "tasks__main__train__"
TICKET: dict[str, Any] = raw()["variants"]["ticket"]
REINIT = TICKET | {"rewind": TICKET["rewind"] | {"to": "reinit", "draw": 0}}
SCRIPT: dict[str, Any] = {
    "tasks__main__compat": "southampton",
    "tasks__main__model__init": "southampton",
    TRAIN + "steps": 6,
    TRAIN + "optimizer": "adam",
    TRAIN + "lr": 0.01,
    TRAIN + "momentum": 0.0,
    TRAIN + "weight_decay": 1e-4,
    TRAIN + "evaluate_every": 2,
    TRAIN + "test_cadence": "every",
    TRAIN + "engine": "auto",
    "variants": {"ticket": TICKET, "reinit": REINIT},
}
TRAININGS = [(DENSE, 0), *((name, r) for name in ("ticket", "reinit") for r in (1, 2))]


def refused(**changes: object) -> str:
    """The message that refuses these changes of an experiment that is possible."""
    with pytest.raises(ParamsError) as caught:
        settings(**(deepcopy(SCRIPT) | changes))
    assert len(str(caught.value).splitlines()) == 1
    return str(caught.value).removeprefix("params.yaml: ")


@pytest.mark.parametrize(
    ("setting", "value", "needed"),
    [
        ("optimizer", "sgd", "adam"),
        ("optimizer", "adamw", "adam"),
        ("augment", "flip-crop", "none"),
        ("test_cadence", "improved", "every"),
        ("engine", "dense", "auto"),
        ("device", "cuda", "cpu"),
    ],
)
def test_a_task_that_the_script_cannot_train_is_refused(
    setting: str, value: str, needed: str
) -> None:
    assert refused(**{TRAIN + setting: value}) == (
        f"tasks.main.train.{setting}: {value} found; compat: southampton needs {needed}"
    )


def test_the_script_trains_no_batch_norm() -> None:
    message = refused(
        tasks__main__model={"name": "resnet-20", "widths": None, "init": "southampton"}
    )
    assert message == (
        "tasks.main.model.name: it has batch norm, which compat: southampton does not "
        "emulate; take a network without, such as lenet-300-100 or conv-2"
    )


def test_without_a_full_batch_of_test_images_nothing_would_be_counted() -> None:
    assert refused(**{TRAIN + "batch_size": 301}) == (
        "tasks.main.train.batch_size: 301 is more than the 300 test images, which compat: "
        "southampton counts in full batches; give a smaller one"
    )
    settings(**(SCRIPT | {TRAIN + "batch_size": 300}))


@pytest.mark.parametrize(
    ("part", "changes", "message"),
    [
        (
            "prune",
            {"schedule": "one-shot"},
            "prune.schedule: one-shot found; NEEDS iterative",
        ),
        (
            "prune",
            {"criterion": "random"},
            "prune.criterion: random found; NEEDS magnitude",
        ),
        ("prune", {"scope": "global"}, "prune.scope: global found; NEEDS layerwise"),
        (
            "rewind",
            {"to": "early", "step": 1},
            "rewind.to: early found; NEEDS theta0 or reinit",
        ),
        (
            "rewind",
            {"pruned": "freeze-init"},
            "rewind.pruned: freeze-init found; NEEDS zero",
        ),
    ],
)
def test_a_variant_that_the_script_does_not_have_is_refused(
    part: str, changes: dict[str, Any], message: str
) -> None:
    needs = "compat: southampton of task main needs"
    ticket = TICKET | {part: TICKET[part] | changes}
    assert refused(variants={"ticket": ticket}) == (
        f"variants.ticket.{message.replace('NEEDS', needs)}"
    )


def test_the_scripts_reinit_has_a_mask_of_its_own() -> None:
    variants = raw()["variants"]
    del variants["one-shot"]
    assert refused(variants=variants) == (
        "variants.reinit.prune.mask: ticket found; compat: southampton of task main needs "
        "own"
    )


def test_no_setting_chooses_the_scripts_engine() -> None:
    message = refused(**{TRAIN + "engine": "southampton"})
    assert "unknown: southampton (known: auto, " in message


def test_every_training_of_the_plan_is_the_scripts() -> None:
    compiled = compiler.compile_plan(settings(**SCRIPT), [SEEDS])
    items = [*compiled["train"].values(), *compiled["retrain"].values()]
    assert [item["engine"] for item in items] == ["southampton"] * len(TRAININGS)
    assert all("engines.dense" in str(item["inputs"]) for item in items)


# The chain


@pytest.fixture(scope="module")
def script_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished experiment; read only."""
    root = tmp_path_factory.mktemp("script") / "root"
    copies = INSTABILITY | {"of": "ticket", "rounds": [2], "steps": None}
    experiment.finish(root, **SCRIPT, analyses={"copies": copies})
    standings.record(root)
    return root


@pytest.fixture
def script(script_root: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(script_root)
    return script_root


def weights(kind: str, variant: str, round: int) -> dict[str, np.ndarray]:
    folder = {
        "starts": paths.starts_folder,
        "trained": paths.trained_folder,
    }[kind](at(variant, round))
    return files.load_weights(folder, 1)


def theta0() -> dict[str, np.ndarray]:
    return files.load_weights(paths.theta0_folder("main", SEEDS), 1)


def assert_same(
    one: dict[str, np.ndarray], other: dict[str, np.ndarray], part: str
) -> None:
    for name in (n for n in one if part in n):
        assert (one[name] == other[name]).all(), name


def test_a_finished_chain_keeps_its_promises(script: Path) -> None:
    ended = run(script, "verify")
    assert ended.code == 0
    assert ended.output.splitlines()[:5] == [
        "masks cut at the percentile    holds (8 rounds of 4 chains)",
        "pruned weights exactly zero    holds (8 rounds of 4 chains)",
        "start = source ⊙ mask          holds (8 rounds of 4 chains)",
        "one θ₀ by hash                 holds (8 rounds of 4 chains)",
        "masks nested                   holds (8 rounds of 4 chains)",
    ]
    assert all(" holds " in line for line in ended.output.splitlines()[5:])


def test_a_mask_cut_elsewhere_is_found(
    script_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from shutil import copytree

    root = copytree(script_root, tmp_path / "root")
    monkeypatch.chdir(root)
    path = paths.seed_file(paths.masks_folder(at("ticket", 1)), 1)
    mask, facts = files.load_arrays(path), files.load_facts(path)
    kept = np.flatnonzero(mask["fc1.weight"])
    mask["fc1.weight"].flat[kept[0]] = False
    files.save_arrays(path, mask, **facts)
    ended = run(root, "verify")
    assert ended.code == 1
    assert (
        "main/ticket seed 1: round 1: the mask is not the one that the same cut gives "
        "again" in ended.output
    )


@pytest.mark.parametrize("variant", ["ticket", "reinit"])
def test_each_mask_is_what_the_scripts_own_lines_give(script: Path, variant: str) -> None:
    before = weights("trained", DENSE, 0)
    mask = {n: np.ones(w.shape) for n, w in before.items() if "weight" in n}
    for round in (1, 2):
        for name in mask:
            tensor = before[name]
            alive = tensor[np.nonzero(tensor)]
            fraction = 0.15 if name == "fc2.weight" else 0.3
            percentile_value = np.percentile(abs(alive), 100 * fraction)
            mask[name] = np.where(abs(tensor) < percentile_value, 0, mask[name])
        found = files.load_mask(paths.masks_folder(at(variant, round)), 1)
        assert {n: m.tolist() for n, m in found.items()} == {
            n: (m != 0).tolist() for n, m in mask.items()
        }
        before = weights("trained", variant, round)


def test_a_tickets_biases_are_reset_once_and_then_never_again(script: Path) -> None:
    first, second = (weights("starts", "ticket", round) for round in (1, 2))
    trained = weights("trained", "ticket", 1)
    assert_same(first, theta0(), "bias")
    assert_same(second, trained, "bias")
    assert (trained["fc1.bias"] != theta0()["fc1.bias"]).all()
    mask = files.load_mask(paths.masks_folder(at("ticket", 2)), 1)
    assert_same(second, {n: theta0()[n] * kept for n, kept in mask.items()}, "weight")


def test_reinit_draws_biases_and_weights_anew_every_round(script: Path) -> None:
    first, second = (weights("starts", "reinit", round) for round in (1, 2))
    for name in first:
        alive = (first[name] != 0) & (second[name] != 0)
        assert alive.any()
        assert (first[name] != second[name])[alive].all()
    assert (second["fc1.bias"] != weights("trained", "reinit", 1)["fc1.bias"]).all()


@pytest.mark.parametrize(("variant", "round"), TRAININGS)
def test_the_test_accuracy_is_the_best_before_the_end(
    script: Path, variant: str, round: int
) -> None:
    folder = paths.results_folder(at(variant, round))
    facts = files.load_json(folder / "result.json")["seeds"]
    table = parquet.load_curves(folder / "curves.parquet").to_pylist()
    for seed in SEEDS:
        tested = {
            row["step"]: row["accuracy"]
            for row in table
            if row["split"] == "test" and row["seed"] == seed
        }
        assert sorted(tested) == [0, 2, 4, 6]
        best = max(tested[step] for step in (0, 2, 4))
        assert facts[str(seed)]["test_accuracy"] == best
        assert best <= southampton.num_scored(300, 32) / 300


def test_a_result_says_that_it_is_the_scripts(script: Path) -> None:
    for variant, round in TRAININGS:
        path = paths.results_folder(at(variant, round)) / "result.json"
        result = files.load_json(path)
        assert result["settings"]["compat"] == "southampton"
        assert result["settings"]["model"]["init"] == "southampton"
        assert result["engine"] == "southampton"


def test_round_0_moves_by_adams_default_rate(script: Path) -> None:
    moved = weights("trained", DENSE, 0)["fc1.bias"] - theta0()["fc1.bias"]
    assert 0 < np.abs(moved).max() <= 6 * southampton.FIRST_LR * 1.01
    start = weights("starts", "reinit", 1)["fc1.bias"]
    assert np.abs(weights("trained", "reinit", 1)["fc1.bias"] - start).max() > 0.03


def test_copies_of_a_ticket_are_trained_by_the_scripts_engine_too(script: Path) -> None:
    (item,) = plan_file.check(params.load())["copies"].values()
    assert item["engine"] == "southampton"
    folder = Path(str(item["copies"]))
    assert list(folder.iterdir())
