"""Settings of analyses: which are refused, and which stages the others make."""

from pathlib import Path
from typing import Any

import pytest
from helpers.experiment import CONNECTION, INSTABILITY, raw, settings
from helpers.standings import on_disk

from pipeline.artifacts import files, paths
from pipeline.config.params import ParamsError
from pipeline.core.analysis.pairs import seeds_between
from pipeline.inspect import forecast, status
from pipeline.plan import compiler, items
from pipeline.run import checkpoints, leftovers

GROUP = [(0, 1)]
OF_TICKET = {"of": "ticket", "rounds": [2], "steps": None}
EARLY = {"to": "early", "step": 1, "draw": None, "pruned": "zero"}


def refused(base: dict[str, Any], **changes: object) -> str:
    """The message that refuses an analysis with these changes."""
    with pytest.raises(ParamsError) as caught:
        settings(analyses={"line": base | changes})
    message = str(caught.value)
    assert len(message.splitlines()) == 1
    assert message.startswith("params.yaml: analyses.line.")
    return message.removeprefix("params.yaml: analyses.line.")


def compiled(**changes: object) -> items.Plan:
    return compiler.compile_plan(settings(**changes), GROUP)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"kind": "stability"},
            "kind: input should be 'instability' or 'connection'; found ",
        ),
        ({"tasks": []}, "tasks: none given; known tasks: main"),
        ({"tasks": ["man"]}, "tasks: unknown: man; did you mean main? (known: main)"),
        ({"tasks": ["main", "main"]}, "tasks: a task stands there twice"),
        (
            {"of": "tickt"},
            "of: unknown: tickt; did you mean ticket? (known: dense, ticket, ",
        ),
        ({"to": "ticket"}, "to: ticket found; copies are compared in pairs, write null"),
        ({"pairs": 0}, "pairs: 0 found; give 1 to 99 pairs of copies"),
        ({"pairs": None}, "pairs: null found; give 1 to 99 pairs of copies"),
        ({"rounds": [1]}, "rounds: the dense network has no rounds; write null"),
        ({"steps": None}, "steps: none given; write where the copies part, such as [0]"),
        ({"steps": []}, "steps: none given; write where the copies part, such as [0]"),
        ({"steps": [0, 0]}, "steps: 0 stands there twice"),
        (
            {"steps": [0, 2]},
            "steps: 2 found; the training of task main has 2 steps: give 0 to 1",
        ),
        (
            {"steps": [-1]},
            "steps: -1 found; the training of task main has 2 steps: give 0 to 1",
        ),
        ({"points": 1}, "points: 1 found; give 2 to 1000, such as 30"),
        (
            {"recalibration_batches": 5},
            "recalibration_batches: 5 found; no network of these tasks has running "
            "statistics, write null",
        ),
        (
            OF_TICKET | {"steps": [0]},
            "steps: copies of ticket part where its rounds begin: write null",
        ),
        (
            OF_TICKET | {"rounds": None},
            "rounds: none given; name rounds of ticket, such as",
        ),
        (
            OF_TICKET | {"rounds": [3]},
            "rounds: 3 found; ticket is run for the rounds 1 to 2",
        ),
    ],
)
def test_an_impossible_instability_is_refused(
    changes: dict[str, object], message: str
) -> None:
    assert refused(INSTABILITY, **changes).startswith(message)


def test_copies_of_a_network_that_is_pruned_while_it_trains_are_refused() -> None:
    analyses = {"line": INSTABILITY | OF_TICKET}
    with pytest.raises(ParamsError, match=r"line\.of: ticket is pruned while it trains, "):
        settings(analyses=analyses, variants__ticket__prune__schedule="gradual")
    connected = {"line": CONNECTION}
    settings(analyses=connected, variants__ticket__prune__schedule="gradual")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"of": "dnse"},
            "of: unknown: dnse (known: ticket, one-shot, reinit, random-mask)",
        ),
        (
            {"of": "dnse", "to": "other-seed"},
            "of: unknown: dnse; did you mean dense? (known: dense, ticket, ",
        ),
        ({"of": "dense"}, "of: dense has a line to other-seed only; name a variant"),
        (
            {"of": "dense", "to": "other-seed"},
            "rounds: the dense network has no rounds; write null",
        ),
        (
            {"of": "random-mask", "to": "pruned"},
            "to: random-mask transforms the masks of ticket, and no network was pruned to "
            "them; name another end",
        ),
        (
            {"to": None},
            "to: null found; name previous, pruned, dense, other-seed, or another variant",
        ),
        ({"to": "ticket"}, "to: ticket is what it starts from; name another end"),
        (
            {"match_units": True},
            "match_units: only a network to other-seed has other units; leave it out",
        ),
        ({"to": "renit"}, "to: unknown: renit; did you mean reinit? (known: ticket, "),
        ({"rounds": [0]}, "rounds: 0 found; ticket is run for the rounds 1 to 2"),
        ({"steps": [0]}, "steps: a connection trains no copies; write null"),
        ({"pairs": 1}, "pairs: a connection trains no copies; write null"),
    ],
)
def test_an_impossible_connection_is_refused(
    changes: dict[str, object], message: str
) -> None:
    assert refused(CONNECTION, **changes).startswith(message)


@pytest.mark.parametrize("of", ["ticket", "reinit"])
def test_masks_that_are_found_in_training_have_no_pruned_network_behind_them(
    of: str,
) -> None:
    with pytest.raises(ParamsError) as caught:
        settings(
            analyses={"line": CONNECTION | {"of": of, "to": "pruned"}},
            variants__ticket__prune__schedule="gradual",
        )
    assert str(caught.value) == (
        "params.yaml: analyses.line.to: ticket is pruned while it trains, so that no "
        f"network is cut to the masks of {of}; name another end"
    )


def test_frozen_weights_are_not_compared_with_those_of_a_pruned_network() -> None:
    with pytest.raises(ParamsError) as caught:
        settings(
            analyses={"line": CONNECTION | {"to": "pruned"}},
            variants__ticket__rewind__pruned="freeze-init",
        )
    assert str(caught.value) == (
        "params.yaml: analyses.line.to: pruned weights of ticket stay frozen in it, those "
        "of a pruned network are 0; name another end"
    )


def test_one_seed_has_no_other() -> None:
    with pytest.raises(ParamsError) as caught:
        settings(analyses={"line": CONNECTION | {"to": "other-seed"}}, seeds=[3])
    assert str(caught.value) == (
        "params.yaml: analyses.line.to: other-seed needs two seeds or more, and there is "
        "one; add a seed"
    )


def test_an_analysis_of_a_variant_on_a_task_it_is_not_run_on_is_refused() -> None:
    tasks = {"main": raw()["tasks"]["main"], "b": raw()["tasks"]["main"]}
    for kind in (INSTABILITY | OF_TICKET, CONNECTION):
        with pytest.raises(
            ParamsError, match=r"analyses\.x\.of: ticket is not run on task b"
        ):
            settings(tasks=tasks, analyses={"x": kind | {"tasks": ["main", "b"]}})


def test_two_analyses_with_one_name_for_their_stages_are_refused() -> None:
    tasks = {"main": raw()["tasks"]["main"], "main-a": raw()["tasks"]["main"]}
    both = {"a-b": INSTABILITY, "b": INSTABILITY | {"tasks": ["main-a"]}}
    with pytest.raises(ParamsError, match="are both called main-a-b; rename one of them"):
        settings(tasks=tasks, analyses=both)


@pytest.mark.parametrize("name", ["dense", "previous", "pruned", "other-seed"])
def test_an_end_of_connections_is_no_name_for_a_variant(name: str) -> None:
    variants = raw()["variants"]
    with pytest.raises(ParamsError, match=rf"variants\.{name}: the name {name} is taken"):
        settings(variants=variants | {name: variants["ticket"]})


def test_copies_of_the_dense_network_begin_with_theta0_or_its_first_steps() -> None:
    found = compiled(analyses={"stable": INSTABILITY | {"steps": [0, 1]}})
    assert list(found["early"]) == ["main-k000001-s0-1"]
    keys = ["main-stable-r00-k000000-s0-1", "main-stable-r00-k000001-s0-1"]
    assert list(found["copies"]) == list(found["lines"]) == keys
    starts = [found["copies"][key]["start"] for key in keys]
    assert starts == ["artifacts/theta0/main/s0-1", "artifacts/early/main/k000001/s0-1"]
    lines = found["lines"][keys[1]]
    assert lines["ends"] == "artifacts/copies/main/stable/r00-k000001/s0-1"
    assert lines["against"] == starts[1]


def test_copies_of_a_ticket_begin_where_its_round_begins() -> None:
    changes: dict[str, object] = {"variants__ticket__rewind": EARLY}
    found = compiled(analyses={"stable": INSTABILITY | OF_TICKET}, **changes)
    (item,) = found["copies"].values()
    assert item["copies"] == "artifacts/copies/main/stable/r02-k000001/s0-1"
    assert item["step"] == 1
    assert item["start"] == "artifacts/starts/main/ticket/r02/s0-1"
    assert item["mask"] == "artifacts/masks/main/ticket/r02/s0-1"


@pytest.mark.parametrize(
    ("to", "place"),
    [("previous", "ticket/r01"), ("dense", "dense/r00"), ("reinit", "reinit/r02")],
)
def test_a_connection_reads_two_trained_networks_and_trains_nothing(
    to: str, place: str
) -> None:
    found = compiled(analyses={"line": CONNECTION | {"to": to, "rounds": [2]}})
    assert found["copies"] == {}
    item = found["lines"]["main-line-r02-s0-1"]
    assert item["ends"] == "artifacts/trained/main/ticket/r02/s0-1"
    assert item["against"] == f"artifacts/trained/main/{place}/s0-1"


def test_the_round_before_the_first_is_the_dense_network() -> None:
    found = compiled(analyses={"line": CONNECTION})["lines"]["main-line-r01-s0-1"]
    assert found["against"] == "artifacts/trained/main/dense/r00/s0-1"


@pytest.mark.parametrize(
    ("of", "place"),
    [("ticket", "ticket/r01"), ("reinit", "ticket/r01"), ("one-shot", "dense/r00")],
)
def test_a_pruned_network_is_where_the_masks_were_cut_from(of: str, place: str) -> None:
    analysis = CONNECTION | {"of": of, "to": "pruned", "rounds": [2]}
    item = compiled(analyses={"line": analysis})["lines"]["main-line-r02-s0-1"]
    assert item["ends"] == f"artifacts/trained/main/{of}/r02/s0-1"
    assert item["against"] == f"artifacts/trained/main/{place}/s0-1"


@pytest.mark.parametrize(("of", "round"), [("dense", 0), ("ticket", 2)])
def test_both_ends_of_a_line_between_seeds_lie_in_one_folder(of: str, round: int) -> None:
    rounds = [round] if round else None
    analysis = CONNECTION | {"of": of, "to": "other-seed", "rounds": rounds}
    item = compiled(analyses={"line": analysis})["lines"][f"main-line-r{round:02d}-s0-1"]
    folder = f"artifacts/trained/main/{of}/r{round:02d}/s0-1"
    assert (item["ends"], item["against"]) == (folder, folder)


@pytest.mark.parametrize(
    ("seeds", "pairs"),
    [
        ((4,), []),
        ((0, 1), [(0, 1)]),
        ((0, 1, 4), [(0, 1), (1, 4), (4, 0)]),
    ],
)
def test_each_seed_goes_with_the_next_of_its_group(
    seeds: tuple[int, ...], pairs: list[tuple[int, int]]
) -> None:
    asked = settings(analyses={"line": CONNECTION | {"to": "other-seed"}, "b": CONNECTION})
    assert seeds_between(asked.analyses["line"].to, seeds) == pairs
    assert seeds_between(asked.analyses["b"].to, seeds) == [(seed, seed) for seed in seeds]


def test_a_seed_that_came_alone_has_no_line_to_another() -> None:
    asked = settings(
        analyses={"line": CONNECTION | {"to": "other-seed"}, "b": CONNECTION},
        seeds=[0, 1, 7],
    )
    found = compiler.compile_plan(asked, [(0, 1), (7,)])["lines"]
    assert list(found) == ["main-line-r01-s0-1", "main-b-r01-s0-1", "main-b-r01-s7"]


def test_without_analyses_there_are_no_stages() -> None:
    assert compiled()["copies"] == compiled()["lines"] == {}


def test_a_task_that_only_an_analysis_needs_is_trained() -> None:
    tasks = {"main": raw()["tasks"]["main"], "b": raw()["tasks"]["main"]}
    found = compiled(tasks=tasks, analyses={"stable": INSTABILITY | {"tasks": ["b"]}})
    assert list(found["train"]) == ["main-s0-1", "b-s0-1"]


def test_analyses_that_left_the_plan_are_removed(tmp_path: Path) -> None:
    base = tmp_path / paths.FOLDER
    place = "main/stable/r00-k000000/s0-1"
    kept = [base / kind / place / "file" for kind in ("copies", "lines")]
    kept += [base / "timing" / f"{place}.json"]
    kept += [tmp_path / checkpoints.FOLDER / f"copies-{place.replace('/', '-')}/lock"]
    gone = [
        Path(str(path).replace("k000000", "k000001")) for path in (*kept, base / "lines/x")
    ]
    for path in (*kept, *gone[:-1]):
        path.parent.mkdir(parents=True)
        path.touch()
    current = compiled(analyses={"stable": INSTABILITY})
    assert leftovers.remove(current, tmp_path) == 4
    assert all(path.exists() for path in kept)
    assert not any(path.exists() for path in gone)


def test_the_forecast_counts_two_trainings_per_pair_and_seed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    asked = settings(analyses={"stable": INSTABILITY | {"pairs": 3}})
    current = compiler.compile_plan(asked, GROUP)
    assert (
        forecast.forecast(asked, current, on_disk(current)).num_trainings == 18 + 2 * 2 * 3
    )


def test_status_says_how_many_places_are_done_and_stale(tmp_path: Path) -> None:
    asked = settings(analyses={"stable": INSTABILITY | {"steps": [0, 1]}})
    current = compiler.compile_plan(asked, GROUP)
    for step, expected in ((0, "1 of 2 places done"), (1, "2 of 2 places done")):
        folder = tmp_path / f"artifacts/lines/main/stable/r00-k00000{step}/s0-1"
        files.save_json(folder / "lines.json", {})
        assert status.analyses(current, on_disk(current, root=tmp_path)) == [
            f"main/stable: {expected}"
        ]
    stale = on_disk(current, "early@main-k000001-s0-1", root=tmp_path)
    assert status.analyses(current, stale) == ["main/stable: 1 of 2 places done, 1 stale"]
