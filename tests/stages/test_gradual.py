"""Rounds that are pruned while they train, and controls that take their masks."""

from pathlib import Path
from typing import Any

import pytest
from helpers import experiment, standings
from helpers.experiment import at, trained

from pipeline.artifacts import files, paths
from pipeline.config import params
from pipeline.core import masks
from pipeline.core.digests import digest
from pipeline.core.policies.gradual import pruning_steps
from pipeline.inspect import export
from pipeline.inspect.verification import verify
from pipeline.plan import compiler, expected, plan_file
from pipeline.run.kept import places
from pipeline.stages import retrain, rewind

STEPS = 6


def settings() -> dict[str, Any]:
    """Gradual pruning, a control that takes its masks, and one that shuffles them."""
    raw = experiment.raw()
    ticket = raw["variants"]["ticket"]
    own = ticket["prune"] | {"schedule": "gradual"}
    reinit, shuffled = raw["variants"]["reinit"], raw["variants"]["random-mask"]
    signs = reinit["rewind"] | {"to": "trained-sign-reinit"}
    main = raw["tasks"]["main"]
    return {
        "tasks": {"main": main | {"train": main["train"] | {"steps": STEPS}}},
        "variants": {
            "ticket": ticket | {"prune": own},
            "one-shot": reinit | {"rewind": signs},
            "reinit": reinit,
            "random-mask": shuffled,
        },
    }


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return experiment.finish(tmp_path_factory.mktemp("gradual"), **settings())


@pytest.fixture
def there(finished: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(finished)
    return finished


@pytest.mark.parametrize("round", [1, 2])
def test_a_round_ends_with_the_counts_of_that_many_iterative_ones(
    there: Path, round: int
) -> None:
    found = params.load()
    counts = expected.counts(found.tasks["main"], found.variants["ticket"].prune, 2)
    for seed in (0, 1):
        mask = files.load_mask(trained("ticket", round), seed)
        assert masks.kept(mask) == counts[round]
        assert masks.revived(files.load_weights(trained("ticket", round), seed), mask) == []


@pytest.mark.parametrize("round", [1, 2])
def test_every_round_begins_with_all_of_theta0(there: Path, round: int) -> None:
    theta0 = files.load_weights(paths.theta0_folder("main", (0, 1)), 1)
    start = files.load_weights(paths.starts_folder(at("ticket", round)), 1)
    assert digest(start) == digest(theta0)


def test_rounds_know_nothing_of_each_other_nor_of_the_dense_network(there: Path) -> None:
    behind = compiler.upstream(plan_file.check(params.load()))
    stages = {stage.split("@")[0] for stage in behind[str(trained("ticket", 2))]}
    assert stages == {"data", "init", "rewind", "retrain"}


def test_a_control_waits_for_the_training_that_finds_its_mask(there: Path) -> None:
    behind = compiler.upstream(plan_file.check(params.load()))
    for control in ("one-shot", "reinit", "random-mask"):
        assert "retrain@main-ticket-r02-s0-1" in behind[str(trained(control, 2))]


def test_a_control_takes_the_mask_as_it_was_found(there: Path) -> None:
    mask = files.load_mask(trained("ticket", 2), 0)
    assert digest(files.load_mask(trained("reinit", 2), 0)) == digest(mask)
    shuffled = files.load_mask(trained("random-mask", 2), 0)
    assert masks.kept(shuffled) == masks.kept(mask)
    assert digest(shuffled) != digest(mask)


def test_the_facts_say_what_the_steps_were_trained_with(there: Path) -> None:
    result = files.load_json(paths.results_folder(at("ticket", 2)) / "result.json")
    facts = result["seeds"]["0"]
    last = pruning_steps(0, STEPS)[-1]
    assert facts["early_stop_step"] >= last
    for name, kept in facts["kept"].items():
        size = result["sizes"][name]
        assert (
            (STEPS - last) * kept + last * kept < facts["kept_steps"][name] < STEPS * size
        )
    reinit = files.load_json(paths.results_folder(at("reinit", 2)) / "result.json")
    assert "kept_steps" not in reinit["seeds"]["0"]


def test_every_promise_holds(there: Path) -> None:
    settings = params.load()
    standings.record(Path())
    found = verify(settings, plan_file.check(settings))
    assert [finding for finding in found if finding.broken] == []
    promised = {(f.subject.split()[0], f.promise) for f in found}
    assert ("main/ticket", "kept counts exact") in promised
    assert ("main/ticket", "masks nested") not in promised
    assert ("main/reinit", "masks nested") not in promised


def test_running_a_round_again_gives_the_same_bytes(there: Path) -> None:
    folder = trained("ticket", 1)
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    files.remove(places.DEFAULT)
    rewind.run("main-ticket-r01-s0-1")
    retrain.run("main-ticket-r01-s0-1")
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


def test_a_gradual_network_is_no_ticket_to_export(there: Path) -> None:
    out = there / "ticket.safetensors"
    ticket = export.Ticket(name="ticket", round=1, seed=0)
    with pytest.raises(
        export.ExportError, match="finds its masks while it trains, so that"
    ):
        export.export(params.load(), plan_file.check(params.load()), ticket, out)
    assert not out.exists()
    control = export.Ticket(name="reinit", round=1, seed=0)
    facts, _ = export.export(params.load(), plan_file.check(params.load()), control, out)
    mask = files.load_mask(trained("ticket", 1), 0)
    assert facts["mask"] == digest(mask)
