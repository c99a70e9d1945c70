"""Stage ``approximations``: what it saves, what ``verify`` finds, what is tracked."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers.experiment import APPROXIMATION, SEEDS, finish

from pipeline import tracking
from pipeline.artifacts import files
from pipeline.config import params
from pipeline.core.constructions import CONSTRUCTIONS
from pipeline.inspect import verification
from pipeline.plan import items
from pipeline.tracking.approximation_runs import FACTS
from pipeline.tracking.store import opened

FOLDER = Path("artifacts/approximations/main")


@pytest.fixture(scope="module")
def approximated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("strong") / "root"
    asked = {name: APPROXIMATION | {"construction": name} for name in CONSTRUCTIONS}
    asked["sparse"] = APPROXIMATION | {"of": "ticket", "rounds": [2]}
    return finish(root, approximations=asked)


@pytest.fixture(autouse=True)
def _in_the_experiment(approximated: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(approximated)


def facts(name: str, round: int = 0, seed: int = 0) -> dict[str, Any]:
    file = FOLDER / name / f"r{round:02d}/s0-1/approximation.json"
    found: dict[str, Any] = files.load_json(file)["seeds"][str(seed)]
    return found


@pytest.mark.parametrize("name", CONSTRUCTIONS)
@pytest.mark.parametrize("seed", SEEDS)
def test_a_random_network_computes_the_trained_one(name: str, seed: int) -> None:
    found = facts(name, seed=seed)
    assert found["error_median"] < 0.001
    assert found["within"] > 0.98  # not every input of a relu network has good units
    assert found["accuracy"] == pytest.approx(found["target_accuracy"], abs=0.04)
    assert found["agreement"] > 0.9
    assert found["target_weights"] == 64 * 8 + 8 + 8 * 10 + 10
    assert found["kept_to_target"] == found["weights_kept"] / found["target_weights"]
    assert (found["units_drawn"] > 0) == CONSTRUCTIONS[name].linear_only


def test_every_seed_draws_a_random_network_of_its_own() -> None:
    a, b = (
        files.load_arrays(FOLDER / f"direct/r00/s0-1/s{seed}.safetensors")["fc1.weight"]
        for seed in SEEDS
    )
    assert a.shape == (1, 8, 64 + 1)
    assert not np.array_equal(a, b)


def test_a_sparse_target_needs_fewer_random_weights() -> None:
    assert facts("sparse", 2)["weights_kept"] < 0.8 * facts("direct")["weights_kept"]


def test_verify_finds_nothing_and_then_a_changed_number() -> None:
    plan = items.read()
    assert plan is not None
    looks = list(verification.contents(params.load(), plan))
    mine = [(path, look) for path, look in looks if FOLDER in path.parents]
    assert len(mine) == 4 * (len(SEEDS) + 1)
    assert [look() for _, look in mine] == [""] * len(mine)
    file = FOLDER / "golden/r00/s0-1/approximation.json"
    before = files.load_json(file)
    changed = files.load_json(file)
    changed["seeds"]["0"]["accuracy"] = 1.5
    files.save_json(file, changed)
    assert [p.name for p, look in mine if look()] == ["s0.safetensors", file.name]
    files.save_json(file, before)


@pytest.fixture(scope="module")
def tracked(approximated: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The address of a store with the results."""
    uri = f"sqlite:///{tmp_path_factory.mktemp('store')}/mlflow.db"
    report = tracking.write(approximated, uri, tracking.asked_by(params.load(approximated)))
    mine = [name for name in report.created if name.startswith("approximation ")]
    names = (*CONSTRUCTIONS, "sparse")
    assert mine == [f"approximation {name}-s{seed}" for name in names for seed in SEEDS]
    return uri


def read(tracked: str) -> tracking.TrackedStore:
    settings = params.load()
    held = tracking.held(settings)
    return tracking.read(tracked, settings.experiment, runs=held, curves=())


def test_a_workspace_finds_its_approximations_in_the_store(tracked: str) -> None:
    store = read(tracked)
    assert store.lacking == ()
    rows = {(row["approximation"], row["seed"]): row for row in store.approximations}
    assert len(rows) == len(store.approximations) == 4 * len(SEEDS)
    for (name, seed), row in rows.items():
        found = facts(name, 2 if name == "sparse" else 0, seed)
        assert {n: row[n] for n in FACTS} == {n: found[n] for n in FACTS}
    assert rows["sparse", 1]["of"] == "ticket"
    assert rows["sparse", 1]["density"] < rows["direct", 1]["density"] == 1
    assert (rows["relu", 0]["construction"], rows["relu", 0]["candidates"]) == ("relu", 16)


def test_tracking_again_changes_nothing(tracked: str) -> None:
    report = tracking.write(Path(), tracked, tracking.asked_by(params.load()))
    assert report.created == report.appended == report.deleted == report.mended == ()


def test_child_runs_have_the_layers_and_where_the_subsets_lie(tracked: str) -> None:
    (row,) = [r for r in read(tracked).approximations if r["approximation"] == "sparse"][:1]
    with opened(tracked) as client:
        number = client.get_experiment_by_name("toy").experiment_id
        query = "tags.kind = 'target' and params.approximation = 'sparse'"
        (first,) = client.search_runs([number], f"{query} and tags.seed = '0'")
    assert first.info.run_name == "approximation sparse-s0-r02"
    assert first.data.tags["artifacts.approximations"].endswith("main/sparse/r02/s0-1")
    layers = facts("sparse", 2)["layers"]
    logged = first.data.metrics
    assert {n: logged[f"error_median/{n}"] for n in layers} == {
        n: account["error_median"] for n, account in layers.items()
    }
    assert logged["accuracy"] == row["accuracy"]
