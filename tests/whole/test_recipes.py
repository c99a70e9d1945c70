"""Recipes of the papers through the real stages: every way to begin and train a round."""

from collections.abc import Mapping
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers import experiment, standings
from helpers.experiment import INSTABILITY

from pipeline.artifacts import files, parquet, paths
from pipeline.artifacts.paths import Instance
from pipeline.config import params
from pipeline.config.settings import Settings, build_network
from pipeline.core import data_orders, masks
from pipeline.core.arrays import Mask, Weights
from pipeline.core.digests import digest
from pipeline.core.training.engine import Job
from pipeline.core.training.loop import train
from pipeline.core.training.settings import Schedule
from pipeline.engines import make_engine
from pipeline.inspect import export
from pipeline.inspect.export import Ticket
from pipeline.inspect.verification import promises, verify
from pipeline.plan import compiler, places, plan_file
from pipeline.results.tables import round_results
from pipeline.tracking import held
from pipeline.tracking.analyses import tracked_analyses
from pipeline.tracking.chains import chains_of

SEEDS = (0,)
DROP = {"name": "milestones", "milestones": [2], "gamma": 0.1, "warmup_steps": 0}
RETRAINED = {"weight-rewind": "early", "rate-rewind": "trained", "fine-tune": "fine-tune"}
FROZEN = ("freeze-init", "freeze-init-zero-mask", "freeze-init-zero-all")


def recipes() -> dict[str, Any]:
    """Renda et al.'s six, both strategies of Frankle & Carbin, Zhou et al.'s mask-0."""
    ticket, one_shot, taken = (
        experiment.raw()["variants"][name] for name in ("ticket", "one-shot", "reinit")
    )

    def begun(base: dict[str, Any], **rewind: object) -> dict[str, Any]:
        return deepcopy(base | {"rewind": ticket["rewind"] | rewind})

    found = {"ticket": ticket}
    for name, to in RETRAINED.items():
        found[name] = begun(ticket, to=to, step=1)
        found[f"{name}-one-shot"] = begun(one_shot, to=to, step=1)
    found["continued"] = begun(ticket, to="trained")
    found["reset-in-the-end"] = begun(taken)
    found["reset-in-the-end"]["prune"]["mask"] = "continued"
    found |= {name: begun(ticket, pruned=name) for name in FROZEN}
    found["frozen-reinit"] = begun(taken, to="reinit", draw=0, pruned="freeze-init")
    return found


def copies_of(variant: str) -> dict[str, Any]:
    return INSTABILITY | {"of": variant, "rounds": [1], "steps": None}


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = experiment.finish(
        tmp_path_factory.mktemp("recipes"),
        seeds=list(SEEDS),
        variants=recipes(),
        analyses={"tuned": copies_of("fine-tune"), "frozen": copies_of("freeze-init")},
        tasks__main__train__steps=4,
        tasks__main__train__schedule=DROP,
    )
    standings.record(root)
    return root


@pytest.fixture(autouse=True)
def settings(finished: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Every test only reads."""
    monkeypatch.chdir(finished)
    return params.load()


def at(variant: str, round: int) -> Instance:
    return Instance(task="main", variant=variant, round=round, seeds=SEEDS)


def trained(variant: str, round: int) -> Weights:
    return files.load_weights(paths.trained_folder(at(variant, round)), 0)


def mask_of(variant: str, round: int) -> Mask:
    return files.load_mask(paths.trained_folder(at(variant, round)), 0)


def start_of(variant: str, round: int) -> Weights:
    return files.load_weights(paths.starts_folder(at(variant, round)), 0)


def theta0() -> Weights:
    return files.load_weights(paths.theta0_folder("main", SEEDS), 0)


def assert_begins_with(variant: str, round: int, source: Weights) -> None:
    expected = masks.apply(source, mask_of(variant, round))
    assert digest(start_of(variant, round)) == digest(expected)


def first_step(variant: str, round: int) -> int:
    folder = paths.results_folder(at(variant, round))
    steps = parquet.load_curves(folder / "curves.parquet")["step"]
    return int(min(steps.to_pylist()))


def by_hand(settings: Settings, begun: Mapping[str, Any], **job: Any) -> Weights:  # noqa: ANN401
    """The network after training with other settings than its task's."""
    task = settings.tasks["main"]
    asked = Job(
        network=build_network(task),
        data=files.load_dataset(paths.data_file(task.data)),
        settings=replace(task.train, **begun),
        seed=0,
        **job,
    )
    (found,) = train([asked], make_engine("reference", [asked]))
    return found.weights


def test_every_promise_of_every_recipe_holds(settings: Settings) -> None:
    """And every file holds what it must: no recipe looks damaged that is not."""
    found = verify(settings, plan_file.check(settings))
    assert [finding for finding in found if finding.broken] == []
    assert {finding.subject for finding in found if finding.unit == "rounds"} == {
        f"main/{name} seed 0" for name in settings.variants
    }


@pytest.mark.parametrize("round", [1, 2])
def test_weights_are_rewound_to_step_k_and_trained_from_there(round: int) -> None:
    early = files.load_weights(paths.early_folder("main", 1, SEEDS), 0)
    for variant in ("weight-rewind", "weight-rewind-one-shot"):
        assert_begins_with(variant, round, early)
        assert first_step(variant, round) == 1


@pytest.mark.parametrize("variant", ["rate-rewind", "fine-tune"])
def test_trained_weights_go_on_round_by_round(variant: str) -> None:
    assert_begins_with(variant, 1, trained("dense", 0))
    assert_begins_with(variant, 2, trained(variant, 1))
    assert [first_step(variant, round) for round in (1, 2)] == [1, 1]


@pytest.mark.parametrize("variant", ["rate-rewind-one-shot", "fine-tune-one-shot"])
def test_in_one_shot_every_round_goes_on_from_the_dense_network(variant: str) -> None:
    for round in (1, 2):
        assert_begins_with(variant, round, trained("dense", 0))


@pytest.mark.parametrize("variant", ["fine-tune", "fine-tune-one-shot"])
@pytest.mark.parametrize("round", [1, 2])
def test_fine_tuning_is_at_the_last_rate_from_step_k(
    settings: Settings, variant: str, round: int
) -> None:
    constant = Schedule(name="constant", milestones=(), gamma=1.0, warmup_steps=0)
    tuned = by_hand(
        settings,
        {"lr": 0.1 * 0.1, "schedule": constant},
        start=start_of(variant, round),
        mask=mask_of(variant, round),
        round=round,
        first_step=1,
    )
    assert digest(trained(variant, round)) == digest(tuned)


def test_rate_rewinding_replays_the_schedule(settings: Settings) -> None:
    replayed = by_hand(
        settings,
        {},
        start=start_of("rate-rewind", 2),
        mask=mask_of("rate-rewind", 2),
        round=2,
        first_step=1,
    )
    assert digest(trained("rate-rewind", 2)) == digest(replayed)


def test_strategy_2_trains_on_and_resets_in_the_end() -> None:
    assert_begins_with("continued", 1, trained("dense", 0))
    assert_begins_with("continued", 2, trained("continued", 1))
    for round in (1, 2):
        assert first_step("continued", round) == 0
        assert_begins_with("reset-in-the-end", round, theta0())
        ours, theirs = (mask_of(n, round) for n in ("reset-in-the-end", "continued"))
        assert digest(ours) == digest(theirs)
    assert digest(mask_of("continued", 2)) != digest(mask_of("ticket", 2))


@pytest.mark.parametrize("variant", ["freeze-init", "frozen-reinit"])
@pytest.mark.parametrize("round", [1, 2])
def test_frozen_weights_are_theta0s_after_training(variant: str, round: int) -> None:
    drawn, weights = theta0(), trained(variant, round)
    for name, kept in mask_of(variant, round).items():
        assert weights[name][~kept].tobytes() == drawn[name][~kept].tobytes()
        assert (weights[name] != drawn[name])[kept].any()
    source = start_of("frozen-reinit", round)["fc1.weight"]
    kept = mask_of("frozen-reinit", round)["fc1.weight"]
    assert not (source == drawn["fc1.weight"])[kept].any()


@pytest.mark.parametrize("variant", FROZEN[1:])
def test_pruned_weights_are_zeroed_by_what_training_did_when_they_were_pruned(
    variant: str,
) -> None:
    initial, name = theta0()["fc1.weight"], "fc1.weight"
    pruned = np.zeros(initial.shape, np.bool_)
    expected = np.zeros_like(initial)
    for round in (1, 2):
        before = trained(variant if round > 1 else "dense", round - 1)[name]
        now = ~mask_of(variant, round)[name] & ~pruned
        grew = np.abs(before) >= np.abs(initial)
        expected[now & grew] = initial[now & grew]
        pruned |= now
        found = trained(variant, round)[name]
        assert found[pruned].tobytes() == expected[pruned].tobytes()
        assert 0 < np.count_nonzero(found[pruned]) < np.count_nonzero(pruned)


def test_kept_weights_that_shrank_begin_at_zero_and_train() -> None:
    initial, kept = theta0()["fc1.weight"], mask_of("freeze-init-zero-all", 1)["fc1.weight"]
    shrank = kept & (np.abs(trained("dense", 0)["fc1.weight"]) < np.abs(initial))
    start, end = (f("freeze-init-zero-all", 1)["fc1.weight"] for f in (start_of, trained))
    assert np.count_nonzero(start[kept]) == np.count_nonzero(kept & ~shrank)
    assert end[shrank].any()
    other = start_of("freeze-init-zero-mask", 1)["fc1.weight"]
    assert (other[kept] == initial[kept]).all()


def test_copies_begin_and_train_as_their_round_does(settings: Settings) -> None:
    constant = Schedule(name="constant", milestones=(), gamma=1.0, warmup_steps=0)
    for analysis, variant, begun, step in (
        ("tuned", "fine-tune", {"lr": 0.1 * 0.1, "schedule": constant}, 1),
        ("frozen", "freeze-init", {}, 0),
    ):
        place = next(s for s in places.places(settings, [SEEDS]) if s.analysis == analysis)
        copy = data_orders.of_copies(1)[0]
        found = files.load_arrays(places.copy_file(place.copies, 0, copy, "weights"))
        expected = by_hand(
            settings,
            begun,
            start=start_of(variant, 1),
            mask=mask_of(variant, 1),
            round=1,
            first_step=step,
            copy=copy,
        )
        assert digest(found) == digest(expected)


def test_a_frozen_weight_that_moved_is_found(settings: Settings, tmp_path: Path) -> None:
    name, mask = "fc1.weight", mask_of("freeze-init", 1)
    path = paths.seed_file(paths.trained_folder(at("freeze-init", 1)), 0, "weights")
    before, weights = path.read_bytes(), files.load_arrays(path)
    weights[name].flat[np.flatnonzero(~mask[name])[0]] = 0
    try:
        files.save_arrays(path, weights)
        found = {
            f.promise: f.broken for f in promises.findings(settings, [SEEDS]) if f.broken
        }
    finally:
        path.write_bytes(before)
    assert found["pruned weights exactly as frozen"] == (
        "round 1: fc1.weight has a pruned weight that is not as in its start"
    )


def test_an_exported_start_has_its_frozen_weights(
    settings: Settings, tmp_path: Path
) -> None:
    out = tmp_path / "frozen.safetensors"
    ticket = Ticket(name="freeze-init", round=2, seed=0)
    facts, _ = export.export(settings, plan_file.check(settings), ticket, out)
    assert facts["pruned"] == "freeze-init"
    assert facts["weights"] == digest(start_of("freeze-init", 2))
    arrays = files.load_arrays(out)
    assert (arrays["fc1.weight"] == theta0()["fc1.weight"]).all()
    assert not arrays["mask.fc1.weight"].all()


def test_only_engines_that_can_are_planned_for_frozen_weights() -> None:
    sparse = {"rounds": [2]}  # 64 % of the weights
    asked = experiment.settings(
        seeds=list(SEEDS),
        variants=recipes(),
        analyses={
            "tuned": copies_of("fine-tune") | sparse,
            "frozen": copies_of("freeze-init") | sparse,
        },
        tasks__main__train__steps=4,
        tasks__main__train__schedule=DROP,
        tasks__main__train__engine="auto",
    )
    planned = compiler.compile_plan(asked, [SEEDS])
    engines = {key: item["engine"] for key, item in planned["retrain"].items()}
    assert engines["main-ticket-r02-s0"] == "sparse"
    assert engines["main-freeze-init-r02-s0"] == "dense"
    copies = {item["analysis"]: item for item in planned["copies"].values()}
    assert (copies["tuned"]["engine"], copies["frozen"]["engine"]) == ("sparse", "dense")
    assert copies["tuned"]["recipe"] == "variants.fine-tune.rewind"


def test_the_runs_that_a_workspace_asks_for_are_those_of_its_results(
    settings: Settings,
) -> None:
    chains = chains_of(round_results(Path(), compiler.active(settings)))
    analyses = tracked_analyses(Path(), places.places(settings, [settings.seeds]))
    found = {c.key: (c.name, [str(r) for r in c.digests]) for c in chains}
    found |= {a.key: (a.name, list(a.digests)) for a in analyses}
    asked = held(settings)
    assert {key: (run.name, list(run.children)) for key, run in asked.items()} == found
