"""Stage ``pooled``: rounds of a ticket mixed into one network, and nothing trained."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers.experiment import ROUNDS, SEEDS, at, finish, raw, settings, trained

from pipeline.artifacts import files, paths
from pipeline.config import params
from pipeline.config.params import ParamsError
from pipeline.core import masks
from pipeline.core.digests import digest
from pipeline.inspect import forecast, verification
from pipeline.plan import compiler, items
from pipeline.results import costs, tables
from pipeline.run import pools
from pipeline.run.executors import processes

REWIND = {"to": "pruned", "step": None, "draw": None, "pruned": "zero"}


def variants(**pooling: Any) -> dict[str, Any]:  # noqa: ANN401 - YAML
    ticket = raw()["variants"]["ticket"]
    pool = {"prune": {"mask": "ticket", "pool": pooling}, "rewind": REWIND}
    dense = {"prune": {"mask": "ticket", "pool": {"begins_with": "dense"}}}
    own = {"prune": ticket["prune"], "rewind": REWIND}
    return {"ticket": ticket, "pool": pool, "dense-pool": dense | {"rewind": REWIND}} | {
        "untrained": own
    }


@pytest.fixture(scope="module")
def experiment(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("pools") / "root"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(processes, "run_all", here)
        return finish(root, tasks__main__train__steps=8, variants=variants())


def here(works: Sequence[Any], **_: object) -> None:
    """Do the work in this process, which spares seconds."""
    for work in works:
        work.run(lambda _: None, lambda: False)


@pytest.fixture(autouse=True)
def _in_the_experiment(experiment: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(experiment)


def result(variant: str, round: int, seed: int) -> dict[str, Any]:
    file = paths.results_folder(at(variant, round)) / "result.json"
    found: dict[str, Any] = files.load_json(file)["seeds"][str(seed)]
    return found


def test_a_pool_is_evaluated_as_it_was_mixed() -> None:
    joined = 0
    for seed in SEEDS:
        for round in ROUNDS:
            pool, ticket = result("pool", round, seed), result("ticket", round, seed)
            weights = files.load_weights(trained("pool", round), seed)
            mask = files.load_mask(trained("pool", round), seed)
            folder = paths.pooled_folder(at("pool", round))
            assert pool["trained"] == pool["start"] == digest(weights)
            assert pool["trained"] == digest(files.load_weights(folder, seed))
            assert pool["steps"] == 0
            assert pool["kept"] == ticket["kept"]
            assert not masks.revived(weights, mask)
            joined += len(pool["pool"])
            if pool["pool"]:
                found = pool["pool"][-1]["validation_accuracy"]
                assert found == pytest.approx(pool["validation_accuracy"])
            else:
                assert pool["trained"] == ticket["trained"]
            assert result("dense-pool", round, seed)["density"] == 1
    assert joined > 0


def test_a_start_of_the_pruned_network_evaluates_what_pruning_left() -> None:
    source = files.load_weights(trained("dense", 0), 0)
    found = files.load_weights(trained("untrained", 1), 0)
    mask = files.load_mask(trained("untrained", 1), 0)
    assert digest(found) == digest(masks.apply(source, mask))


def test_verify_finds_a_pool_that_something_else_joined() -> None:
    asked = settings(tasks__main__train__steps=8, variants=variants())
    plan = items.read()
    assert plan is not None

    def broken() -> list[str]:
        found = verification.promises.findings(asked, [SEEDS])
        looks = verification.contents(asked, plan)
        said = [f"{path}: {verification.said(path, look)}" for path, look in looks]
        return [one.broken for one in found if one.broken] + [
            line for line in said if not line.endswith(": ")
        ]

    assert broken() == []
    folder = paths.pooled_folder(at("pool", 2))
    path = paths.seed_file(folder, 1, "mask")
    before = path.read_bytes()
    facts = files.load_facts(path)
    facts["pool"] = [*facts["pool"], {"round": 0, "share": 0.5, "validation_accuracy": 1.0}]
    files.save_arrays(path, files.load_arrays(path), **facts)
    assert any("what joined the pool" in line for line in broken())
    path.write_bytes(before)


def test_a_network_that_was_not_noted_joins_no_pool() -> None:
    item = items.find("pooled", "main-pool-r01-s0-1", params.load())
    path = paths.seed_file(trained("ticket", 2), 0, "weights")
    before = path.read_bytes()
    weights = files.load_arrays(path)
    files.save_arrays(path, weights | {"fc1.bias": weights["fc1.bias"] + np.float32(1)})
    with pytest.raises(files.ArtifactError, match=r"other weights than .* notes"):
        pools.pool(pools.source_of(item, params.load()), 0)
    path.write_bytes(before)


def test_a_pool_costs_all_rounds_and_trains_none() -> None:
    asked = params.load()
    found = tables.round_results(Path(), compiler.active(asked))
    by = {(one.variant, one.round, one.seed): one for one in found}
    assert tables.multiply_adds(by["pool", 1, 0]) == 0
    names = [(one.variant, one.round) for one in by["pool", 1, 0].before or ()]
    assert sorted(names) == [("dense", 0), ("ticket", 1), ("ticket", 2)]
    before = by["dense-pool", 1, 0].before or ()
    assert sorted((one.variant, one.round) for one in before) == [
        ("dense", 0),
        ("ticket", 1),
    ]
    assert (
        costs.multiply_adds(by["untrained", 2, 0].settings, {"steps": 0, "kept": {}}) == 0
    )
    assert forecast.of_preset(asked, compiler.compile_plan(asked, [SEEDS]))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"shares": []}, "pool.shares: none given; write [0.5] for means, or leave it out"),
        ({"shares": [1.0]}, "pool.shares: 1.0 found; give shares between 0 and 1"),
        ({"shares": [0.5, 0.5]}, "pool.shares: 0.5 stands there twice"),
        ({"recalibration_batches": 3}, "no network of these tasks has running statistics"),
    ],
)
def test_impossible_pools_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ParamsError) as caught:
        settings(variants=variants(**changes))
    assert message in str(caught.value)


def test_a_pool_needs_rounds_of_another_variant() -> None:
    asked = variants()
    asked["pool"] = {"prune": asked["ticket"]["prune"] | {"pool": {}}, "rewind": REWIND}
    with pytest.raises(ParamsError, match="it mixes rounds of another variant"):
        settings(variants=asked)
    asked = variants()
    asked["pool"]["prune"] |= {"transform": "shuffle"}
    with pytest.raises(ParamsError, match="the mask comes from the pool"):
        settings(variants=asked)
