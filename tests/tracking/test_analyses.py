"""Analyses are written into MLflow as runs and read back as tables."""

import shutil

import pytest
from helpers import synthetic
from helpers.synthetic import fabricate_lines, places_of
from helpers.tracked import history, runs

from pipeline.artifacts.files import ArtifactError
from pipeline.compare.setups import setups
from pipeline.results import winning
from pipeline.tracking import read, read_all, track
from pipeline.tracking.store import opened

EXPERIMENT = "toy"
PLACES = places_of()
DENSE_PLACES = places_of(analysis="early", places=((0, 0), (0, 500)))
LINKS = places_of(analysis="link", places=((2, 0),), trains=False)
ALL = [*PLACES, *DENSE_PLACES, *LINKS]


@pytest.fixture(scope="module")
def template(tmp_path_factory):
    """A store with two instability analyses and a connection; made once."""
    root = tmp_path_factory.mktemp("template")
    synthetic.fabricate(root)
    fabricate_lines(root, PLACES)
    fabricate_lines(root, DENSE_PLACES, of="dense", pairs=1, recalibrated=True)
    fabricate_lines(root, LINKS, to="reinit", pairs=1)
    report = write(root)
    assert len(report.created) == 6 + 6
    return root


@pytest.fixture
def root(template, tmp_path, monkeypatch):
    """A workspace of one's own with the store of ``template``."""
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    shutil.copytree(template, tmp_path / "w")
    return tmp_path / "w"


def write(root, places=ALL, **plan):
    uri = f"sqlite:///{root}/mlflow.db"
    return track(root, EXPERIMENT, uri, synthetic.active(**plan), places)


def only(root, name):
    (run,) = [r for r in runs(root, EXPERIMENT) if r.info.run_name == name]
    return run


def store(root, variants=None, **how):
    return read(f"sqlite:///{root}/mlflow.db", EXPERIMENT, variants, **how)


def barriers(root, **wanted):
    return [r for r in store(root).barriers if wanted.items() <= r.items()]


def test_one_run_per_analysis_and_seed_and_one_child_per_place(root):
    found = {r.info.run_name for r in runs(root, EXPERIMENT, "tags.kind = 'analysis'")}
    names = ("stable", "early", "link")
    assert found == {f"analysis {name}-s{seed}" for name in names for seed in (0, 1)}
    parent = only(root, "analysis stable-s1")
    query = f"tags.`mlflow.parentRunId` = '{parent.info.run_id}'"
    children = {run.info.run_name for run in runs(root, EXPERIMENT, query)}
    assert children == {"analysis stable-s1-r01-k000000", "analysis stable-s1-r02-k000000"}


def test_a_run_has_the_mean_and_each_pair_at_step_round(root):
    run = only(root, "analysis stable-s1")
    assert history(root, run, "error_barrier") == pytest.approx({1: 0.025, 2: 0.035})
    assert history(root, run, "pair0/error_barrier") == pytest.approx({1: 0.02, 2: 0.03})
    assert history(root, run, "pair1/distance") == {1: 4.0, 2: 4.0}
    assert history(root, run, "dead_units_a") == {1: 3.0, 2: 3.0}
    assert history(root, run, "traveled_b") == {1: 6.0, 2: 6.0}
    assert history(root, run, "density") == {1: 213060 / 266200, 2: 170538 / 266200}


def test_copies_of_the_dense_network_are_logged_at_the_step_where_they_part(root):
    run = only(root, "analysis early-s1")
    assert history(root, run, "error_barrier") == pytest.approx({0: 0.01, 500: 0.01})
    found = history(root, run, "recalibrated_error_barrier")
    assert found == pytest.approx({0: 0.005, 500: 0.005})
    assert history(root, run, "density") == {0: 1.0, 500: 1.0}


def test_an_experiment_of_the_dense_network_alone_is_tracked(tmp_path, monkeypatch):
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    synthetic.fabricate(tmp_path, variants=())
    fabricate_lines(tmp_path, DENSE_PLACES, of="dense", pairs=1)
    uri = f"sqlite:///{tmp_path}/mlflow.db"
    report = track(
        tmp_path, EXPERIMENT, uri, {"main": {"dense": (range(0), (0, 1))}}, DENSE_PLACES
    )
    dense, places = ("dense-s0", "dense-s1"), ("analysis early-s0", "analysis early-s1")
    assert report.created == (*dense, *places)
    assert {row["step"] for row in store(tmp_path).barriers} == {0, 500}


def test_an_analysis_named_dense_is_not_mixed_up_with_the_dense_network(
    tmp_path, monkeypatch
):
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    synthetic.fabricate(tmp_path, variants=(), seeds=(0,))
    places = places_of(analysis="dense", places=((0, 0),), seeds=(0,))
    fabricate_lines(tmp_path, places, of="dense", pairs=1)
    uri = f"sqlite:///{tmp_path}/mlflow.db"
    plan = {"main": {"dense": (range(0), (0,))}}
    report = track(tmp_path, EXPERIMENT, uri, plan, places)
    assert report.created == ("dense-s0", "analysis dense-s0")
    names = [run.info.run_name for run in runs(tmp_path, EXPERIMENT)]
    assert len(set(names)) == len(names) == 4


def test_runs_with_names_of_an_earlier_version_are_found_again(root):
    before = store(root)
    with opened(f"sqlite:///{root}/mlflow.db") as client:
        for run in runs(root, EXPERIMENT, "tags.kind = 'analysis'"):
            name = run.info.run_name.removeprefix("analysis ")
            client.update_run(run.info.run_id, name=name)
    assert len(write(root).untouched) == 6 + 6
    assert store(root) == before


def test_a_child_run_holds_the_line_at_step_number_of_the_point(root):
    run = only(root, "analysis stable-s1-r02-k000000")
    found = history(root, run, "line1/error")
    assert found == pytest.approx({0: 0.02, 1: 0.03 + 0.04, 2: 0.04})


def test_tags_parameters_and_notes_describe_the_analysis(root):
    run = only(root, "analysis link-s0")
    tags = run.data.tags
    assert (tags["asks"], tags["of"], tags["to"]) == ("connection", "ticket", "reinit")
    assert run.data.params["analysis.points"] == "3"
    assert run.data.params["to.rewind.to"] == "reinit"
    assert run.data.params["train.lr"] == "0.0012"
    note = tags["mlflow.note.content"]
    assert "| r02 | 64.1 % | 2.00 pp | 0.2 | 3 | 25.0 % | 80.0 % |" in note
    place = only(root, "analysis stable-s0-r01-k000000").data.tags
    assert place["warnings"] == "fc1.weight keeps nothing"


def test_writing_again_changes_nothing(root):
    before = [(r.info.run_id, r.data.to_dictionary()) for r in runs(root, EXPERIMENT)]
    report = write(root)
    assert len(report.untouched) == 6 + 6
    assert report.created == report.appended == report.deleted == ()
    after = [(r.info.run_id, r.data.to_dictionary()) for r in runs(root, EXPERIMENT)]
    assert after == before


def test_a_new_place_is_appended_to_the_same_runs(root):
    before = only(root, "analysis early-s0").info.run_id
    more = places_of(analysis="early", places=((0, 0), (0, 500), (0, 900)))
    fabricate_lines(root, more, of="dense", pairs=1, recalibrated=True)
    report = write(root, [*PLACES, *more, *LINKS])
    assert report.appended == ("analysis early-s0", "analysis early-s1")
    assert report.created == report.deleted == ()
    run = only(root, "analysis early-s0")
    assert run.info.run_id == before
    assert sorted(history(root, run, "error_barrier")) == [0, 500, 900]
    assert run.data.tags["current_places"] == "r00-k000000, r00-k000500, r00-k000900"


def test_other_lines_of_the_same_settings_replace_the_run_and_its_children(root):
    fabricate_lines(root, LINKS, to="reinit", pairs=1, salt=0.1)
    report = write(root)
    assert report.deleted == report.created == ("analysis link-s0", "analysis link-s1")
    (row,) = barriers(root, analysis="link", seed=0)
    assert row["error_barrier"] == pytest.approx(0.12)


def test_lines_of_other_settings_stay_and_are_no_longer_current(root):
    fabricate_lines(root, PLACES, pairs=1)
    report = write(root)
    assert report.created == ("analysis stable-s0", "analysis stable-s1")
    assert report.deleted == ()
    assert len(barriers(root, analysis="stable")) == 4
    both = store(root, runs="all")
    names = {row["analysis"] for row in both.barriers} - {"early", "link"}
    assert names == {"stable (analysis.pairs 2)", "stable (analysis.pairs 1)"}
    found = {both.analyses["main", name]["analysis.pairs"] for name in names}
    assert found == {"1", "2"}


def test_a_removed_analysis_and_a_removed_place_are_no_longer_current(root):
    write(root, PLACES[:1])
    rows = store(root).barriers
    assert {(r["analysis"], r["round"]) for r in rows} == {("stable", 1)}
    assert only(root, "analysis stable-s0-r02-k000000").data.tags["current"] == "false"
    write(root)
    assert len(store(root).barriers) == 2 * (2 * 2 + 2 * 2 + 1)


def test_lines_wait_for_the_results_of_their_network(root):
    shutil.rmtree(root / "artifacts/results/main/ticket/r02")
    write(root)
    rows = store(root).barriers
    assert {(r["analysis"], r["round"]) for r in rows} == {("stable", 1), ("early", 0)}


def test_a_seed_in_two_folders_is_refused(root):
    again = places_of(places=((1, 0),), seeds=(1,))
    fabricate_lines(root, again)
    with pytest.raises(ArtifactError, match="both hold seed 1; delete the older one"):
        write(root)


def test_the_tables_have_a_row_per_line_and_a_row_per_point(root):
    found = store(root)
    assert found.barriers[0] == {
        "task": "main",
        "analysis": "early",
        "kind": "instability",
        "of": "dense",
        "to": None,
        "round": 0,
        "step": 0,
        "density": 1.0,
        "seed": 0,
        "pair": 0,
        "statistics": "interpolated",
        "error_barrier": 0.0,
        "loss_barrier": 0.0,
        "error_a": 0.02,
        "error_b": 0.04,
        "distance": 3.0,
        "sign_changes": 0.25,
        "mask_overlap": None,
        "mask_overlap_by_chance": None,
    }
    assert len(found.lines) == 3 * len(found.barriers)
    line = [r for r in found.lines if r["analysis"] == "stable"][-3:]
    assert [(r["seed"], r["round"], r["pair"], r["alpha"]) for r in line] == [
        (1, 2, 1, alpha) for alpha in (0.0, 0.5, 1.0)
    ]
    assert [r["error"] for r in line] == pytest.approx([0.02, 0.07, 0.04])
    assert [r["loss"] for r in line] == pytest.approx([0.2, 0.7, 0.4])
    assert set(line[0]) == {*list(found.barriers[0])[:11], "alpha", "loss", "error"}


def test_masks_that_differ_have_their_overlap_in_the_table(root):
    (row,) = barriers(root, analysis="link", seed=1)
    assert (row["mask_overlap"], row["mask_overlap_by_chance"]) == (0.8, 0.6)


def test_a_line_between_two_seeds_is_a_run_of_the_first_seed_only(root):
    initializations = {"analysis": "seeds", "places": ((0, 0),), "trains": False}
    ends = {"of": "dense", "to": "other-seed", "pairs": 1}
    fabricate_lines(root, places_of(**initializations, seeds=(0,)), **ends)
    report = write(root, [*ALL, *places_of(**initializations)])
    assert report.created == ("analysis seeds-s0",)
    assert write(root, [*ALL, *places_of(**initializations)]).created == ()
    (row,) = barriers(root, analysis="seeds")
    assert (row["of"], row["to"], row["density"]) == ("dense", "other-seed", 1.0)


@pytest.mark.parametrize("end", ["previous", "pruned"])
def test_an_end_that_is_not_a_variant_needs_no_results_of_its_own(root, end):
    links = places_of(analysis="end", places=((2, 0),), trains=False)
    fabricate_lines(root, links, to=end, pairs=1)
    assert write(root, [*ALL, *links]).created == ("analysis end-s0", "analysis end-s1")


def test_a_pair_that_diverged_is_unknown_and_not_in_the_mean(root):
    fabricate_lines(root, PLACES, diverged={(0, 1)})
    write(root)
    known, unknown = barriers(root, analysis="stable", seed=0, round=2)
    assert known["error_barrier"] == pytest.approx(0.02)
    assert unknown["error_barrier"] is None
    assert history(root, only(root, "analysis stable-s0"), "error_barrier")[2] == 0.02
    errors = [r["error"] for r in store(root).lines if r["pair"] == 1 and not r["seed"]]
    assert errors == [None] * 6


def test_reading_some_variants_reads_their_analyses_and_the_dense_networks(root):
    assert {r["analysis"] for r in store(root, ["reinit"]).barriers} == {"early"}
    found = store(root, ["ticket"], curves=())
    assert {r["analysis"] for r in found.barriers} == {"stable", "early", "link"}
    assert found.lines == ()


def test_compare_finds_barriers_by_the_settings_of_their_networks(root):
    fabricate_lines(root, PLACES, points=10)
    fabricate_lines(root, DENSE_PLACES, of="dense", pairs=1, points=10)
    fabricate_lines(root, LINKS, to="reinit", pairs=1, points=10)
    write(root)
    (setup,) = setups(read_all(f"sqlite:///{root}/mlflow.db"))
    assert len(setup.barriers) == 2 * 2
    found = {recipe.name: len(recipe.barriers) for recipe in setup.recipes}
    assert found == {"toy: ticket": 2 * 2 * 2, "toy: reinit": 0}


def test_the_smallest_winning_ticket_is_a_tag_of_its_variants_runs(root):
    shown = {
        name: only(root, f"{name}-s0").data.tags.get("winning_density")
        for name in ("ticket", "reinit")
    }
    assert shown == {"ticket": "none", "reinit": None}
    tags = only(root, "ticket-s1").data.tags
    assert tags["winning_confidence"] == "no density is shown to win"


def test_a_winning_density_is_a_tag_with_its_confidence(root, monkeypatch):
    winner = winning.Winner(density=0.211, confidence="sure", num_seeds=8, shown=True)
    monkeypatch.setattr(winning, "smallest_winning", lambda *_, **__: winner)
    write(root)
    tags = only(root, "ticket-s0").data.tags
    assert (tags["winning_density"], tags["winning_confidence"]) == ("21.1 %", "sure")


def test_a_new_seed_changes_the_winning_tags_of_all_runs_of_the_variant(root):
    synthetic.fabricate(root, seeds=(7,))
    report = write(root, seeds=(0, 1, 7))
    assert report.created == ("dense-s7", "ticket-s7", "reinit-s7")
    assert report.deleted == report.appended == ()
    for name in ("ticket-s0", "ticket-s7"):
        tags = only(root, name).data.tags
        assert tags["winning_density"] == "none"
        assert tags["winning_confidence"] == "no density is shown to win"
