"""Status shows which trainings are done, stale or missing."""

from dataclasses import replace
from pathlib import Path

import pytest
from helpers.experiment import SEEDS, settings
from helpers.standings import on_disk

from pipeline.artifacts import files, paths
from pipeline.artifacts.paths import Instance
from pipeline.config.settings import Settings
from pipeline.inspect import status
from pipeline.inspect.status import Cell
from pipeline.plan import compiler

DENSE = Instance(task="main", variant="dense", round=0, seeds=SEEDS)
ROWS = [
    f"main/{variant} seed {seed}"
    for variant in ("ticket", "one-shot", "reinit", "random-mask")
    for seed in SEEDS
]


def cells(root: Path, *stale: str, asked: Settings | None = None) -> list[Cell]:
    asked = asked or settings()
    compiled = compiler.compile_plan(asked, compiler.regroup(asked.seeds, [SEEDS]))
    return status.cells(asked, compiled, root, on_disk(compiled, *stale, root=root))


def states(found: list[Cell]) -> dict[str, set[str]]:
    """State -> the trainings in it, such as ``ticket r01 0``."""
    named: dict[str, set[str]] = {}
    for cell in found:
        place = f"{cell.instance.variant} r{cell.instance.round:02d} {cell.seed}"
        named.setdefault(cell.state, set()).add(place)
    return named


def seeds_of(*names: str) -> set[str]:
    return {f"{name} {seed}" for name in names for seed in SEEDS}


def test_finished_trainings_are_done_and_show_their_accuracy(experiment_root: Path) -> None:
    found = cells(experiment_root)
    assert list(states(found)) == ["done"]
    assert len(found) == 2 * (1 + 4 * 2)
    result = files.load_json(paths.results_folder(DENSE) / "result.json")
    assert found[1].accuracy == result["seeds"]["1"]["test_accuracy"]


def test_rounds_and_seeds_without_a_result_are_missing(experiment_root: Path) -> None:
    variants = ("ticket", "one-shot", "reinit", "random-mask")
    more_rounds = cells(experiment_root, asked=settings(rounds=3))
    assert states(more_rounds)["missing"] == seeds_of(*(f"{v} r03" for v in variants))
    more_seeds = states(cells(experiment_root, asked=settings(seeds=[0, 1, 5])))
    assert len(more_seeds["missing"]) == 1 + 4 * 2
    assert all(name.endswith(" 5") for name in more_seeds["missing"])


def test_inactive_seeds_are_left_out(experiment_root: Path) -> None:
    found = cells(experiment_root, asked=settings(seeds=[1]))
    assert {cell.seed for cell in found} == {1}


def test_a_stale_training_makes_the_rounds_behind_it_stale(experiment_root: Path) -> None:
    found = states(cells(experiment_root, "retrain@main-ticket-r01-s0-1"))
    # round 2 of the ticket, and the mask that its controls take there
    stale = ("ticket r01", "ticket r02", "reinit r02", "random-mask r02")
    assert found["stale"] == seeds_of(*stale)


def test_stale_initial_weights_make_everything_stale(experiment_root: Path) -> None:
    assert list(states(cells(experiment_root, "init@main-s0-1"))) == ["stale"]


def test_a_stale_rewind_concerns_its_round_alone(experiment_root: Path) -> None:
    found = states(cells(experiment_root, "rewind@main-reinit-r01-s0-1"))
    assert found["stale"] == seeds_of("reinit r01")


@pytest.mark.parametrize("stage", ["results", "track", "plan"])
def test_stages_that_train_nothing_make_nothing_stale(
    stage: str, experiment_root: Path
) -> None:
    assert list(states(cells(experiment_root, stage))) == ["done"]


def test_the_table_has_a_row_per_chain_and_a_column_per_round(
    experiment_root: Path,
) -> None:
    (paths.results_folder(DENSE) / "result.json").unlink()
    lines = status.table(
        cells(experiment_root, "rewind@main-reinit-r02-s0-1"), settings()
    ).splitlines()
    assert lines[0].split() == ["r00", "r01", "r02"]
    assert [line[: len("main/random-mask seed 0")].rstrip() for line in lines[1:-1]] == [
        "main/dense seed 0",
        "main/dense seed 1",
        *ROWS,
    ]
    assert lines[1].split() == ["main/dense", "seed", "0", "-"]
    reinit = lines[1 + 2 + 4].split()
    assert reinit[:3] == ["main/reinit", "seed", "0"]
    result = files.load_json(
        experiment_root / "artifacts/results/main/reinit/r01/s0-1/result.json"
    )
    assert reinit[3] == f"{100 * result['seeds']['0']['test_accuracy']:.2f}"
    assert reinit[4].endswith("*")
    assert lines[-1] == ("14 done, 2 stale (*), 2 missing (-); test accuracy at end in %")


def test_the_table_says_which_test_accuracy_it_has() -> None:
    known = settings()
    main = known.tasks["main"]
    tasks = {"main": main, "fc1": replace(main, compat="southampton")}
    for some, said in (
        ({"fc1": tasks["fc1"]}, "test accuracy best before end in %"),
        (tasks, "test accuracy at end (main), best before end (fc1) in %"),
    ):
        lines = status.table([], replace(known, tasks=some)).splitlines()
        assert lines[-1].endswith(f"; {said}")


def test_a_diverged_training_has_no_accuracy() -> None:
    found = [Cell(instance=DENSE, seed=0, state="done", accuracy=None)]
    assert status.table(found, settings()).splitlines()[1].split()[-1] == "nan"


def test_collapsed_layers_and_diverged_rounds_are_marked_and_named(
    experiment_root: Path,
) -> None:
    instance = Instance(task="main", variant="ticket", round=2, seeds=SEEDS)
    path = paths.results_folder(instance) / "result.json"
    result = files.load_json(path)
    seeds = result["seeds"]
    layer = next(iter(seeds["0"]["kept"]))
    seeds["0"] |= {"test_accuracy": 0.1, "collapsed": [layer]}
    seeds["1"] |= {"test_accuracy": None, "diverged": True}
    files.save_json(path, result)
    lines = status.table(cells(experiment_root), settings()).splitlines()
    table = {line[:22].strip(): line.split() for line in lines}
    assert table["main/ticket seed 0"][-1] == "10.00x"
    assert table["main/ticket seed 1"][-1] == "nan!"
    assert lines[-2:] == [
        f"collapsed (x): main/ticket seed 0: no weight is left in {layer}, round 2",
        "diverged (!): main/ticket seed 1: the loss became infinite or NaN, round 2",
    ]
