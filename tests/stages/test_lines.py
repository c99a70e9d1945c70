"""Stages ``copies`` and ``lines``: two networks, and what lies between them."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers.experiment import CONNECTION, INSTABILITY, SEEDS, finish, raw, settings

from pipeline.artifacts import files, parquet, paths
from pipeline.config import params
from pipeline.config.settings import build_network
from pipeline.core import masks, seeding
from pipeline.core.analysis.evaluation import evaluator
from pipeline.core.arrays import Weights
from pipeline.core.digests import digest
from pipeline.core.models.init import initial_weights
from pipeline.core.models.layers import parameters
from pipeline.core.models.units import permuted
from pipeline.run.lines import Ends
from pipeline.run.lines import run as run_lines
from pipeline.stages import copies, lines
from pipeline.tracking.timing import timing_at

ANALYSES = {
    "dense": INSTABILITY | {"pairs": 2, "steps": [0, 1]},
    "sparse": INSTABILITY | {"of": "ticket", "rounds": [2], "steps": None},
    "successive": CONNECTION | {"rounds": [2]},
    "control": CONNECTION | {"to": "reinit"},
    "relearned": CONNECTION | {"to": "pruned", "rounds": [2]},
    "initializations": CONNECTION | {"of": "dense", "to": "other-seed", "rounds": None},
    "seeds": CONNECTION | {"to": "other-seed"},
}
COPIES = Path("artifacts/copies/main")
LINES = Path("artifacts/lines/main")


@pytest.fixture(scope="module")
def analyzed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("lines") / "root"
    variants = raw()["variants"]
    return finish(
        root,
        variants={name: variants[name] for name in ("ticket", "reinit")},
        analyses=ANALYSES,
    )


@pytest.fixture(autouse=True)
def _in_the_experiment(analyzed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(analyzed)


def copy_of(place: str, seed: int, copy: str, part: str = "weights") -> Path:
    return COPIES / place / "s0-1" / f"s{seed}.instability-{copy}.{part}.safetensors"


def facts(place: str, seed: int = 0, pair: int = 0) -> dict[str, Any]:
    value = files.load_json(LINES / place / "s0-1/lines.json")
    found: dict[str, Any] = value["seeds"][str(seed)][str(pair)]
    return found


def table(place: str) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = parquet.load_lines(
        LINES / place / "s0-1/lines.parquet"
    ).to_pylist()
    return rows


def test_every_seed_and_pair_has_two_copies_with_orders_of_their_own() -> None:
    names = {path.name for path in (COPIES / "dense/r00-k000000/s0-1").iterdir()}
    assert len(names) == 2 * 2 * 2 * 2  # seeds, pairs, sides, weights and mask
    found = {
        digest(files.load_arrays(copy_of("dense/r00-k000000", 0, copy)))
        for copy in ("0-a", "0-b", "1-a", "1-b")
    }
    assert len(found) == 4


@pytest.mark.parametrize("place", ["dense/r00-k000001", "sparse/r02-k000000"])
def test_readers_understand_when_the_copies_trained(place: str) -> None:
    timing = timing_at(Path(), f"main/{place}/s0-1", 0)
    assert 0 < timing.started <= timing.ended
    weights = list((COPIES / place / "s0-1").glob("*.weights.*"))
    assert len(timing.content["seeds"]) == len(weights) > 0


@pytest.mark.parametrize(
    ("place", "folder"),
    [
        ("dense/r00-k000000", "theta0/main/s0-1"),
        ("dense/r00-k000001", "early/main/k000001/s0-1"),
        ("sparse/r02-k000000", "starts/main/ticket/r02/s0-1"),
    ],
)
def test_copies_begin_with_the_same_weights(place: str, folder: str) -> None:
    start = files.load_weights(Path("artifacts") / folder, 1)
    for copy in ("0-a", "0-b"):
        known = files.load_facts(copy_of(place, 1, copy))
        assert known["start"] == digest(start)
        assert known["steps"] == 2


def test_copies_of_a_ticket_keep_its_mask() -> None:
    ticket = files.load_mask(Path("artifacts/masks/main/ticket/r02/s0-1"), 0)
    for copy in ("0-a", "0-b"):
        mask = files.load_arrays(copy_of("sparse/r02-k000000", 0, copy, "mask"))
        weights = files.load_arrays(copy_of("sparse/r02-k000000", 0, copy))
        assert digest(mask) == digest(ticket)
        assert not any(weights[name][~kept].any() for name, kept in mask.items())


def test_a_line_has_a_row_per_seed_pair_and_point() -> None:
    rows = table("dense/r00-k000000")
    places = [(r["seed"], r["pair"], r["statistics"], r["alpha"]) for r in rows]
    assert places == [
        (seed, pair, "interpolated", alpha / 4)
        for seed in SEEDS
        for pair in (0, 1)
        for alpha in range(5)
    ]


def test_the_ends_of_a_line_are_the_copies() -> None:
    errors = facts("dense/r00-k000000", seed=1, pair=1)["statistics"]["interpolated"][
        "errors"
    ]
    for copy, error in zip(("1-a", "1-b"), errors, strict=True):
        known = files.load_facts(copy_of("dense/r00-k000000", 1, copy))
        assert error == pytest.approx(1 - known["test_accuracy"])


def test_the_barrier_is_that_of_the_rows() -> None:
    errors = [row["error"] for row in table("sparse/r02-k000000") if row["seed"] == 0]
    found = facts("sparse/r02-k000000")["statistics"]["interpolated"]
    barrier = max(errors) - (errors[0] + errors[-1]) / 2
    assert found["error_barrier"] == pytest.approx(barrier)
    assert found["stable"] == (barrier < 0.02)


def test_distances_are_those_between_the_ends_and_from_their_start() -> None:
    place = "dense/r00-k000001"
    a, b = (files.load_arrays(copy_of(place, 0, copy)) for copy in ("0-a", "0-b"))
    start = files.load_weights(Path("artifacts/early/main/k000001/s0-1"), 0)
    kernels = ("fc1.weight", "fc2.weight")

    def norm(x: dict[str, Any], y: dict[str, Any]) -> float:
        return float(
            np.sqrt(sum(((x[n] - y[n]).astype(float) ** 2).sum() for n in kernels))
        )

    found = facts(place)
    assert found["distance"] == pytest.approx(norm(a, b), rel=1e-5)
    traveled = [norm(start, a), norm(start, b)]
    assert found["traveled"] == pytest.approx(traveled, rel=1e-5)
    assert found["mask_overlap"] is None


def test_masks_that_differ_are_compared_with_chance() -> None:
    found = facts("successive/r02")
    found_masks = [
        files.load_mask(Path(f"artifacts/trained/main/ticket/{r}/s0-1"), 0)
        for r in ("r01", "r02")
    ]
    old, new = (sum(int(m.sum()) for m in mask.values()) for mask in found_masks)
    assert found["mask_overlap"] == new / old  # nested
    assert 0 < found["mask_overlap_by_chance"] < found["mask_overlap"]
    assert found["traveled"] is None


def test_variants_of_one_mask_are_connected_under_it() -> None:
    found = facts("control/r01", seed=1)
    assert found["mask_overlap"] is None
    assert found["dead_units"] == [{"fc1.weight": 0, "fc2.weight": 0}] * 2
    assert found["warnings"] == []


def loss_of(weights: Weights) -> float:
    """On the test set."""
    task = params.load().tasks["main"]
    data = files.load_dataset(paths.data_file(task.data))
    return evaluator(build_network(task), data, data.test)(weights).loss


def test_the_pruned_network_is_the_one_before_under_the_mask_of_the_round() -> None:
    ticket, before = (
        Path(f"artifacts/trained/main/ticket/{r}/s0-1") for r in ("r02", "r01")
    )
    dense_again = files.load_weights(before, 1)
    pruned = masks.apply(dense_again, files.load_mask(ticket, 1))
    losses = [row["loss"] for row in table("relearned/r02") if row["seed"] == 1]
    assert losses[0] == pytest.approx(loss_of(files.load_weights(ticket, 1)), rel=1e-6)
    assert losses[-1] == pytest.approx(loss_of(pruned), rel=1e-6)
    assert losses[-1] != pytest.approx(loss_of(dense_again), rel=1e-3)
    assert facts("relearned/r02", seed=1)["mask_overlap"] is None


@pytest.mark.parametrize(
    ("place", "folder"), [("initializations/r00", "dense/r00"), ("seeds/r01", "ticket/r01")]
)
def test_two_seeds_have_one_line_between_them(place: str, folder: str) -> None:
    losses = [row["loss"] for row in table(place)]
    assert len(losses) == 5
    trained = Path("artifacts/trained/main") / folder / "s0-1"
    for loss, seed in ((losses[0], 0), (losses[-1], 1)):
        assert loss == pytest.approx(loss_of(files.load_weights(trained, seed)), rel=1e-6)
    value = files.load_json(LINES / place / "s0-1/lines.json")
    assert list(value["seeds"]) == ["0"]
    overlap = value["seeds"]["0"]["0"]["mask_overlap"]
    found = [files.load_mask(trained, seed) for seed in SEEDS]
    assert overlap == (masks.mask_overlap(*found) if folder != "dense/r00" else None)


def test_the_units_of_another_seeds_network_are_matched_where_it_is_asked(
    tmp_path: Path,
) -> None:
    """A network, and itself with its units in another order: nothing lies between them."""
    analysis = CONNECTION | {"of": "dense", "to": "other-seed", "rounds": None, "points": 3}
    asked = settings(variants={}, analyses={"line": analysis | {"match_units": True}})
    task = asked.tasks["main"]
    trained = Path("artifacts/trained/main/dense/r00/s0-1")
    network, order = build_network(task), np.array([3, 0, 7, 5, 1, 2, 6, 4])
    ends_at = {}
    for part in ("weights", "mask"):
        a = ends_at[part, 0] = paths.seed_file(trained, 0, part)
        b = ends_at[part, 1] = tmp_path / f"{part}.safetensors"
        moved = permuted(network, files.load_arrays(a), [order])
        files.save_arrays(b, moved)
    ends = Ends(
        seed=0,
        pair=0,
        round=0,
        weights=(ends_at["weights", 0], ends_at["weights", 1]),
        masks=(ends_at["mask", 0], ends_at["mask", 1]),
        start=None,
    )
    (seen,) = run_lines(
        "matched",
        task,
        asked.analyses["line"],
        [ends],
        data=paths.data_file("digits"),
        at_once=1,
    )
    assert seen.facts["distance"] == 0


def test_a_batch_norm_network_is_seen_with_either_statistics(tmp_path: Path) -> None:
    """Two initializations, not trained: their statistics are 0 and 1."""
    model = {"name": "resnet-20", "widths": None, "init": "kaiming-normal"}
    changes: dict[str, object] = {"tasks__main__model": model, "variants": {}}
    analysis = INSTABILITY | {"points": 3, "recalibration_batches": 2}
    asked = settings(**changes, analyses={"dense": analysis})
    tensors = parameters(build_network(asked.tasks["main"]))
    mask = masks.dense(tensors, [n for n, tensor in tensors.items() if tensor.kind])
    ends_at = [tmp_path / f"{name}.safetensors" for name in ("a", "b", "mask")]
    for seed in (0, 1):
        rng = seeding.generator(seed, "init")
        network = build_network(asked.tasks["main"])
        files.save_arrays(ends_at[seed], initial_weights(network, "kaiming-normal", rng))
    files.save_arrays(ends_at[2], mask)
    ends = Ends(
        seed=0,
        pair=0,
        round=0,
        weights=(ends_at[0], ends_at[1]),
        masks=(ends_at[2], ends_at[2]),
        start=None,
    )
    (seen,) = run_lines(
        "norm",
        asked.tasks["main"],
        asked.analyses["dense"],
        [ends],
        data=paths.data_file("digits"),
        at_once=1,
    )
    assert list(seen.facts["statistics"]) == ["interpolated", "recalibrated"]
    places = [(row["statistics"], row["alpha"]) for row in seen.rows]
    assert places == [
        (statistics, alpha)
        for statistics in ("interpolated", "recalibrated")
        for alpha in (0, 0.5, 1)
    ]
    losses = [row["loss"] for row in seen.rows]
    assert losses[:3] != losses[3:]


def test_what_was_asked_stands_above_the_seeds() -> None:
    value = json.loads((LINES / "control/r01/s0-1/lines.json").read_text())
    assert value["settings"] == ANALYSES["control"]
    assert (value["task"], value["analysis"], value["round"]) == ("main", "control", 1)


def test_again_gives_the_same_bytes_and_leaves_nothing_else() -> None:
    before = {p: p.read_bytes() for base in (COPIES, LINES) for p in base.rglob("*.*")}
    copies.run("main-dense-r00-k000001-s0-1")
    lines.run("main-dense-r00-k000001-s0-1")
    assert {
        p: p.read_bytes() for base in (COPIES, LINES) for p in base.rglob("*.*")
    } == before
    assert [path for path in Path(".lt/checkpoints").rglob("*") if path.is_file()] == []


def test_seconds_stand_in_a_file_of_their_own() -> None:
    timing = files.load_json(Path("artifacts/timing/main/sparse/r02-k000000/s0-1.json"))
    assert set(timing["seeds"]) == {
        f"{seed} instability/0/{side}" for seed in SEEDS for side in "ab"
    }
