"""Rounds that train scores run through all stages, and every promise about them holds."""

from pathlib import Path
from typing import Any

import pytest
from helpers import experiment, standings
from helpers.experiment import at, trained

from pipeline.artifacts import files, paths
from pipeline.config import params
from pipeline.core import masks
from pipeline.core.digests import digest
from pipeline.core.policies import POLICIES
from pipeline.inspect.verification import Finding, verify
from pipeline.plan import compiler, expected, plan_file
from pipeline.results import costs

STEPS = 6
SCORED = ("edge-popup", "supermask-rescaled", "gem-miner")
"""one that is asked for counts, one that finds out, and one that changes scores itself;
variants have the names"""
SCORES = {"optimizer": "sgd", "lr": 0.5, "momentum": 0.9, "weight_decay": 1e-4}


def settings() -> dict[str, Any]:
    """One variant per policy that trains scores, a control, and the scores' own rate."""
    raw = experiment.raw()
    ticket, reinit = raw["variants"]["ticket"], raw["variants"]["reinit"]

    def own(schedule: str) -> dict[str, Any]:
        recipe = {"mask": "own", "schedule": schedule, "scores": SCORES}
        if POLICIES[schedule].asks_for_counts:
            recipe |= {"scope": "global", "fraction": {"fc": 0.4, "output": 0.4}}
        return ticket | {"prune": recipe}

    main = raw["tasks"]["main"]
    train = main["train"] | {"steps": STEPS, "engine": "auto"}
    taken = reinit["prune"] | {"mask": "edge-popup"}
    return {
        "rounds": 1,
        "tasks": {"main": main | {"train": train}},
        "variants": {name: own(name) for name in SCORED}
        | {"mask-alone": ticket | {"prune": taken, "rewind": ticket["rewind"]}},
    }


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return experiment.finish(tmp_path_factory.mktemp("scores"), **settings())


@pytest.fixture
def there(finished: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(finished)
    return finished


def result_of(variant: str, round: int) -> dict[str, Any]:
    found: dict[str, Any] = files.load_json(
        paths.results_folder(at(variant, round)) / "result.json"
    )
    return found


@pytest.mark.parametrize("variant", SCORED)
def test_the_result_is_a_mask_with_scores_on_weights_that_stay(
    there: Path, variant: str
) -> None:
    found = params.load()
    prune = found.variants[variant].prune
    for seed in (0, 1):
        folder, facts = trained(variant, 1), result_of(variant, 1)["seeds"][str(seed)]
        scores = files.load_arrays(paths.seed_file(folder, seed, "scores"))
        assert digest(scores) == facts["scores"]
        start = files.load_weights(paths.starts_folder(at(variant, 1)), seed)
        theta0 = files.load_weights(paths.theta0_folder("main", (0, 1)), seed)
        assert digest(start) == digest(theta0) == facts["start"]
        mask = files.load_mask(folder, seed)
        assert masks.revived(files.load_weights(folder, seed), mask) == []
        if prune.policy.asks_for_counts:
            (count,) = expected.kept(found.tasks["main"], prune, 1).values()
            assert sum(masks.kept(mask).values()) == count


def test_no_other_training_stands_behind_a_round(there: Path) -> None:
    behind = compiler.upstream(plan_file.check(params.load()))
    stages = {stage.split("@")[0] for stage in behind[str(trained("edge-popup", 1))]}
    assert stages == {"data", "init", "rewind", "retrain"}


def test_a_control_trains_weights_under_the_mask_that_scores_found(there: Path) -> None:
    mask = files.load_mask(trained("edge-popup", 1), 1)
    assert digest(files.load_mask(trained("mask-alone", 1), 1)) == digest(mask)
    assert not paths.seed_file(trained("mask-alone", 1), 1, "scores").exists()


def test_scores_are_trained_as_their_own_settings_say(there: Path) -> None:
    recorded = result_of("edge-popup", 1)["settings"]["prune"]["scores"]
    assert recorded == SCORES | {
        "schedule": {
            "name": "constant",
            "milestones": [],
            "gamma": 1.0,
            "warmup_steps": 0,
        }
    }


def test_gradients_of_all_scores_cost_something(there: Path) -> None:
    result = result_of("edge-popup", 1)
    facts = result["seeds"]["0"]
    kept, sizes = sum(facts["kept"].values()), sum(result["sizes"].values())
    found = costs.multiply_adds(result["settings"], facts)
    assert found == 32 * STEPS * (2 * kept + sizes)


def findings() -> list[Finding]:
    settings = params.load()
    standings.record(Path())
    return verify(settings, plan_file.check(settings))


def test_every_promise_holds(there: Path) -> None:
    found = findings()
    assert [finding for finding in found if finding.broken] == []
    promised = {(f.subject.split()[0], f.promise) for f in found}
    for variant in SCORED:
        assert (f"main/{variant}", "scores make the network, no weight trained") in promised
    assert ("main/edge-popup", "kept counts exact") in promised
    assert ("main/supermask-rescaled", "kept counts exact") not in promised
    assert ("main/mask-alone", "kept counts exact") in promised


def test_a_weight_that_was_trained_is_found(
    there: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from shutil import copytree

    root = copytree(there, tmp_path / "root")
    monkeypatch.chdir(root)
    path = paths.seed_file(trained("edge-popup", 1), 0, "weights")
    weights = files.load_arrays(path)
    weights["fc1.bias"][0] += 1
    files.save_arrays(path, weights)
    broken = {f.promise for f in findings() if f.broken}
    assert "scores make the network, no weight trained" in broken


# Bad input: one line each


def refused(**changes: object) -> str:
    edge_popup = {"mask": "own", "schedule": "edge-popup", "scope": "layerwise"}
    edge_popup |= {"fraction": {"fc": 0.5, "output": 0.5}}
    wanted = {k: v for k, v in (edge_popup | changes).items() if v != "absent"}
    with pytest.raises(params.ParamsError) as error:
        experiment.settings(variants__ticket__prune=wanted)
    (line,) = str(error.value).splitlines()
    return line


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"criterion": "magnitude"}, "criterion: must be null, because edge-popup"),
        ({"fraction": "absent"}, "variants.ticket.prune.fraction is missing"),
        ({"schedule": "edge-popap"}, "did you mean edge-popup"),
        ({"schedule": "supermask"}, "scope: must be null, because supermask asks for none"),
        ({"scores": {"optimizer": "sgd", "lr": -1}}, "prune.scores.lr is -1"),
        ({"scores": {"optimizer": "sgd"}}, "prune.scores.lr is missing"),
        ({"scores": {"optimizer": "sgd", "lrr": 1}}, "did you mean lr"),
        ({"scores": 3}, "variants.ticket.prune.scores"),
        (
            {
                "schedule": "iterative",
                "criterion": "magnitude",
                "scores": {"optimizer": "sgd", "lr": 0.1},
            },
            "scores: iterative trains no scores; leave it out, or write edge-popup",
        ),
        ({"fraction": {"fc": 0.9999, "output": 0.9999}}, "would keep no weight"),
    ],
)
def test_what_cannot_be_is_refused_in_a_line(changes: dict[str, Any], said: str) -> None:
    assert said in refused(**changes)


def test_an_engine_that_trains_no_scores_is_refused_in_a_line() -> None:
    edge_popup = {"mask": "own", "schedule": "edge-popup", "scope": "layerwise"}
    edge_popup |= {"fraction": {"fc": 0.5, "output": 0.5}}
    with pytest.raises(params.ParamsError, match="dense cannot train scores") as error:
        experiment.settings(
            variants__ticket__prune=edge_popup, tasks__main__train__engine="dense"
        )
    assert len(str(error.value).splitlines()) == 1
