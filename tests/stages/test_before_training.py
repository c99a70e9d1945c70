"""Rounds that are pruned before any training, masks that move, and their controls."""

from pathlib import Path
from typing import Any

import pytest
from helpers import experiment, standings
from helpers.experiment import at, trained

from pipeline.artifacts import files, paths
from pipeline.config import params
from pipeline.core import masks
from pipeline.core.digests import digest
from pipeline.core.policies import regrowing
from pipeline.inspect import export
from pipeline.inspect.verification import Finding, verify
from pipeline.plan import compiler, expected, plan_file

STEPS = 8
OWN = ("snip", "phew", "static", "rigl", "set")


def settings() -> dict[str, Any]:
    """Two criteria and a random graph at θ₀, two policies that move it, two controls."""
    raw = experiment.raw()
    ticket, reinit = raw["variants"]["ticket"], raw["variants"]["reinit"]
    fraction = {"fc": 0.4, "output": 0.4}
    recipe = {"schedule": "at-init", "scope": "global", "fraction": fraction}

    def own(**changes: str) -> dict[str, Any]:
        return ticket | {"prune": ticket["prune"] | recipe | changes}

    main = raw["tasks"]["main"]
    train = main["train"] | {"steps": STEPS, "engine": "reference"}
    return {
        "tasks": {"main": main | {"train": train}},
        "variants": {
            "snip": own(criterion="snip"),
            "phew": own(criterion="phew"),
            "static": own(criterion="random", scope="erk"),
            "rigl": own(criterion="random", scope="erk", schedule="rigl"),
            "set": own(criterion="random", scope="erk", schedule="set"),
            "snip-reinit": reinit | {"prune": reinit["prune"] | {"mask": "snip"}},
            "rigl-mask": ticket
            | {"prune": reinit["prune"] | {"mask": "rigl"}, "rewind": ticket["rewind"]},
        },
    }


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return experiment.finish(tmp_path_factory.mktemp("before-training"), **settings())


@pytest.fixture
def there(finished: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(finished)
    return finished


@pytest.mark.parametrize("variant", OWN)
@pytest.mark.parametrize("round", [1, 2])
def test_a_round_keeps_what_its_recipe_says(there: Path, variant: str, round: int) -> None:
    found = params.load()
    counts = expected.kept(found.tasks["main"], found.variants[variant].prune, round)
    for seed in (0, 1):
        kept = masks.kept(files.load_mask(trained(variant, round), seed))
        overshoot = sum(kept.values()) - sum(counts.values())
        assert 0 <= overshoot < (len(kept) if variant == "phew" else 1)


@pytest.mark.parametrize("variant", OWN)
def test_no_dense_training_stands_behind_a_mask(there: Path, variant: str) -> None:
    behind = compiler.upstream(plan_file.check(params.load()))
    stages = {stage.split("@")[0] for stage in behind[str(trained(variant, 2))]}
    assert stages == {"data", "init", "prune", "rewind", "retrain"}


@pytest.mark.parametrize("variant", ["rigl", "set"])
def test_a_mask_that_moves_begins_with_the_one_that_was_cut(
    there: Path, variant: str
) -> None:
    cut = files.load_mask(paths.masks_folder(at(variant, 1)), 0)
    start = files.load_weights(paths.starts_folder(at(variant, 1)), 0)
    assert masks.revived(start, cut) == []
    final = files.load_mask(trained(variant, 1), 0)
    assert masks.kept(final) == masks.kept(cut)
    assert digest(final) != digest(cut)


def test_only_looks_at_gradients_are_counted(there: Path) -> None:
    for variant, number in (("rigl", len(regrowing.steps(0, STEPS))), ("set", 0)):
        result = files.load_json(paths.results_folder(at(variant, 1)) / "result.json")
        for facts in result["seeds"].values():
            assert facts.get("gradient_looks", 0) == number


def test_a_control_takes_the_mask_that_was_ended_with(there: Path) -> None:
    final = files.load_mask(trained("rigl", 2), 1)
    assert digest(files.load_mask(trained("rigl-mask", 2), 1)) == digest(final)


def findings() -> list[Finding]:
    settings = params.load()
    standings.record(Path())
    return verify(settings, plan_file.check(settings))


def test_every_promise_holds(there: Path) -> None:
    found = findings()
    assert [finding for finding in found if finding.broken] == []
    promised = {(f.subject.split()[0], f.promise) for f in found}
    assert ("main/phew", "masks are the paths that were walked") in promised
    assert ("main/rigl", "kept counts exact") in promised
    assert ("main/snip", "masks nested") not in promised


@pytest.mark.parametrize(
    ("variant", "promise"),
    [
        ("phew", "masks are the paths that were walked"),
        ("static", "masks as cut again"),
        ("rigl", "masks as cut again"),
    ],
)
def test_another_draw_is_found(
    there: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    variant: str,
    promise: str,
) -> None:
    from shutil import copytree

    root = copytree(there, tmp_path / "root")
    monkeypatch.chdir(root)
    path = paths.seed_file(paths.masks_folder(at(variant, 1)), 0)
    mask, facts = files.load_arrays(path), files.load_facts(path)
    kept = mask["fc1.weight"].ravel()
    kept[[kept.argmax(), kept.argmin()]] = False, True
    files.save_arrays(path, mask, **facts)
    broken = {f.promise for f in findings() if f.broken}
    assert promise in broken


def test_a_mask_that_moves_is_no_ticket_to_export(there: Path) -> None:
    ticket = export.Ticket(name="rigl", round=1, seed=0)
    with pytest.raises(export.ExportError, match="finds its masks while it trains"):
        export.export(
            params.load(),
            plan_file.check(params.load()),
            ticket,
            there / "ticket.safetensors",
        )
