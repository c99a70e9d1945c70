"""The structure that params.yaml asks for, and what becomes of it after an edit."""

from pathlib import Path

import pytest
from dvc.stage import INVALID_STAGENAME_CHARS
from helpers.experiment import link_code, raw, settings, write
from helpers.standings import on_disk
from hypothesis import given
from hypothesis import strategies as st

from pipeline.artifacts import files, paths
from pipeline.config.settings import Settings
from pipeline.inspect import forecast
from pipeline.plan import compiler, items, plan_file, trained
from pipeline.plan.chains import instances
from pipeline.plan.items import PlanError
from pipeline.plan.kinds import KINDS
from pipeline.run import checkpoints, leftovers

Groups = list[tuple[int, ...]]
GROUP: Groups = [(0, 1)]
TWO_GROUPS: Groups = [(0, 1), (2, 3, 4)]
LENET = {"name": "lenet-300-100", "widths": None, "init": "glorot-normal"}
PAPER = {"fc": 0.2, "output": 0.1}
TRAINING = "models.mlp-engines.reference-metrics.at_end"
"""the entries that a training uses, in the name of its inputs file"""


def compiled(**changes: object) -> items.Plan:
    return compiler.compile_plan(settings(**changes), GROUP)


def two_tasks() -> dict[str, object]:
    """Changes that run every variant on two tasks."""
    value = raw()
    both = {name: v | {"tasks": ["main", "b"]} for name, v in value["variants"].items()}
    return {
        "tasks": {"main": value["tasks"]["main"], "b": value["tasks"]["main"]},
        "variants": both,
    }


# What there is


def test_a_plan_has_one_instance_per_variant_round_and_group() -> None:
    found = compiler.compile_plan(settings(), TWO_GROUPS)
    assert list(found) == [
        "data",
        "own",
        "init",
        "train",
        "early",
        "prune",
        "given",
        "matched",
        "networks",
        "pooled",
        "rewind",
        "retrain",
        "copies",
        "lines",
        "approximations",
    ]
    assert list(found["data"]) == ["digits"]
    assert list(found["init"]) == list(found["train"]) == ["main-s0-1", "main-s2-4"]
    assert set(found["rewind"]) == set(found["retrain"])
    assert set(found["retrain"]) == {
        f"main-{variant}-r0{round}-{group}"
        for variant in ("ticket", "one-shot", "reinit", "random-mask")
        for round in (1, 2)
        for group in ("s0-1", "s2-4")
    }


def test_only_variants_that_make_masks_have_prune_stages() -> None:
    owners = {str(item["variant"]) for item in compiled()["prune"].values()}
    assert owners == {"ticket", "one-shot", "random-mask"}


def test_an_iterative_round_prunes_what_the_round_before_it_trained() -> None:
    prune = compiled()["prune"]
    assert (
        prune["main-ticket-r01-s0-1"]["source"] == "artifacts/trained/main/dense/r00/s0-1"
    )
    assert (
        prune["main-ticket-r02-s0-1"]["source"] == "artifacts/trained/main/ticket/r01/s0-1"
    )


def test_a_one_shot_round_prunes_the_dense_network() -> None:
    prune = compiled()["prune"]
    sources = {prune[f"main-one-shot-r0{round}-s0-1"]["source"] for round in (1, 2)}
    assert sources == {"artifacts/trained/main/dense/r00/s0-1"}


def test_a_random_mask_is_made_from_the_tickets_mask_of_the_same_round() -> None:
    item = compiled()["prune"]["main-random-mask-r02-s0-1"]
    assert item["source"] == "artifacts/masks/main/ticket/r02/s0-1"
    assert (
        item["inputs"]
        == "artifacts/inputs/main/random-mask/prune-models.mlp-transforms.shuffle.txt"
    )
    retrain = compiled()["retrain"]["main-random-mask-r02-s0-1"]
    assert retrain["mask"] == "artifacts/masks/main/random-mask/r02/s0-1"
    assert retrain["mask_owner"] == "ticket"


def test_a_control_reads_the_tickets_mask_as_it_is() -> None:
    found = compiled()
    for stage in ("rewind", "retrain"):
        item = found[stage]["main-reinit-r01-s0-1"]
        assert item["mask"] == "artifacts/masks/main/ticket/r01/s0-1"


def test_a_training_starts_from_what_its_rewind_wrote() -> None:
    item = compiled()["retrain"]["main-reinit-r02-s0-1"]
    assert item == {
        "task": "main",
        "variant": "reinit",
        "round": 2,
        "seeds": "0,1",
        "data": "artifacts/data/digits.safetensors",
        "mask": "artifacts/masks/main/ticket/r02/s0-1",
        "mask_owner": "ticket",
        "start": "artifacts/starts/main/reinit/r02/s0-1",
        "trained": "artifacts/trained/main/reinit/r02/s0-1",
        "results": "artifacts/results/main/reinit/r02/s0-1",
        "timing": "artifacts/timing/main/reinit/r02/s0-1.json",
        "engine": "reference",
        "inputs": f"artifacts/inputs/main/reinit/retrain-{TRAINING}.txt",
    }


EARLY = {"to": "early", "step": 1, "draw": None, "pruned": "zero"}
FOUR_STEPS = {"tasks__main__train__steps": 4}


def test_a_late_rewound_round_begins_with_weights_of_the_first_steps() -> None:
    found = compiled(variants__ticket__rewind=EARLY)
    assert list(found["early"]) == ["main-k000001-s0-1"]
    item = found["early"]["main-k000001-s0-1"]
    assert item == {
        "task": "main",
        "seeds": "0,1",
        "step": 1,
        "engine": "reference",
        "inputs": f"artifacts/inputs/main/early-{TRAINING}.txt",
        "data": "artifacts/data/digits.safetensors",
        "theta0": "artifacts/theta0/main/s0-1",
        "early": "artifacts/early/main/k000001/s0-1",
        "timing": "artifacts/timing/main/early/k000001/s0-1.json",
    }
    for round in (1, 2):
        rewind = found["rewind"][f"main-ticket-r0{round}-s0-1"]
        assert rewind["behind"] == "artifacts/early/main/k000001/s0-1"


def test_variants_that_are_rewound_to_one_step_share_its_weights() -> None:
    later = EARLY | {"step": 3}
    found = compiled(
        **FOUR_STEPS,
        variants__ticket__rewind=EARLY,
        variants__reinit__rewind=EARLY,
        **{"variants__one-shot__rewind": later},
    )
    assert list(found["early"]) == ["main-k000001-s0-1", "main-k000003-s0-1"]


def test_a_start_that_only_looks_at_first_steps_begins_at_none_of_them() -> None:
    signs = EARLY | {"to": "early-sign-reinit", "draw": 0}
    asked = settings(variants__reinit__rewind=signs)
    assert asked.variants["reinit"].rewind.first_step == 0
    found = compiler.compile_plan(asked, [(0, 1)])
    assert list(found["early"]) == ["main-k000001-s0-1"]
    behind = found["rewind"]["main-reinit-r01-s0-1"]["behind"]
    assert behind == "artifacts/early/main/k000001/s0-1"


def test_the_first_steps_stand_behind_what_is_rewound_to_them() -> None:
    behind = compiler.upstream(compiled(variants__reinit__rewind=EARLY))
    assert "early@main-k000001-s0-1" in behind["artifacts/trained/main/reinit/r01/s0-1"]
    assert "early@main-k000001-s0-1" not in behind["artifacts/trained/main/ticket/r02/s0-1"]


def test_learning_rate_rewinding_needs_no_early_weights() -> None:
    rewind = {"to": "trained", "step": 1, "draw": None, "pruned": "zero"}
    found = compiled(variants__ticket__rewind=rewind)
    assert found["early"] == {}
    item = found["rewind"]["main-ticket-r02-s0-1"]
    assert item["behind"] == "artifacts/trained/main/ticket/r01/s0-1"


def test_how_a_training_goes_on_from_its_start_stands_in_the_plan() -> None:
    """By the record of the start, which may be the user's own."""
    tune = {"to": "fine-tune", "step": None, "draw": None, "pruned": "zero"}
    falling = {"name": "milestones", "milestones": [1], "gamma": 0.1, "warmup_steps": 0}
    found = compiled(variants__ticket__rewind=tune, tasks__main__train__schedule=falling)[
        "retrain"
    ]
    assert found["main-ticket-r01-s0-1"]["at_last_rate"] == 1
    assert "at_last_rate" not in found["main-one-shot-r01-s0-1"]
    as_cut = {"to": "pruned", "step": None, "draw": None, "pruned": "zero"}
    found = compiled(variants__ticket__rewind=as_cut)["retrain"]
    assert found["main-ticket-r01-s0-1"]["evaluates"] == 1


def test_first_steps_that_left_the_plan_are_removed(tmp_path: Path) -> None:
    base = tmp_path / paths.FOLDER
    kept = [
        touch(base / "early/main/k000001/s0-1/s0.safetensors"),
        touch(base / "timing/main/early/k000001/s0-1.json"),
        touch(tmp_path / checkpoints.FOLDER / "early-main-k000001-s0-1/s0-abc/lock"),
    ]
    gone = [
        touch(base / "early/main/k000002/s0-1/s0.safetensors"),
        touch(base / "early/main/k000001/s7/s7.safetensors"),
        touch(base / "early/old/k000001/s0-1/s0.safetensors"),
        touch(base / "timing/main/early/k000002/s0-1.json"),
        touch(tmp_path / checkpoints.FOLDER / "early-main-k000002-s0-1/s0-abc/lock"),
    ]
    current = compiled(variants__ticket__rewind=EARLY)
    assert leftovers.remove(current, tmp_path) == len(gone)
    assert all(path.exists() for path in kept)
    assert not any(path.exists() for path in gone)


def test_a_plan_holds_no_setting() -> None:
    changed = compiled(tasks__main__train__lr=0.2, variants__reinit__rewind__draw=3)
    assert changed == compiled()


def test_a_task_without_a_variant_trains_its_dense_network() -> None:
    value = raw()
    tasks = {"main": value["tasks"]["main"], "b": value["tasks"]["main"]}
    found = compiled(tasks=tasks)
    assert list(found["train"]) == ["main-s0-1", "b-s0-1"]
    assert {item["task"] for item in found["retrain"].values()} == {"main"}


NAMES = st.from_regex(r"[a-c]([_-]?[a-c1]){0,3}", fullmatch=True)


@given(st.lists(st.tuples(NAMES, NAMES), min_size=1, max_size=6, unique=True))
def test_no_two_instances_share_a_folder_or_a_stage(chains: list[tuple[str, str]]) -> None:
    value = raw()
    ticket = value["variants"]["ticket"]
    tasks = sorted({task for task, _ in chains})
    variants = {
        name: ticket | {"tasks": [t for t, other in chains if other == name]}
        for name in sorted({name for _, name in chains})
    }
    changes = {"tasks": dict.fromkeys(tasks, value["tasks"]["main"]), "variants": variants}
    joined = [f"{task}-{name}" for task, name in chains]
    if len(set(joined)) < len(joined):  # refused: tests/config/test_params.py
        return
    found = compiler.compile_plan(settings(**changes), TWO_GROUPS)
    assert len(found["train"]) == 2 * len(tasks)
    assert len(found["retrain"]) == 2 * 2 * len(chains)
    written = [item[out] for item in items.items_of(found) for out in item.kind.writes]
    assert len(set(written)) == len(written)


def test_every_key_is_a_name_that_dvc_takes_for_a_stage() -> None:
    found = compiler.compile_plan(settings(**two_tasks()), [(0, 1, 7), (2,)])
    for item in items.items_of(found):
        assert not INVALID_STAGENAME_CHARS & set(item.key)


# How many weights each round keeps


def test_the_densities_of_the_paper() -> None:
    asked = settings(
        tasks__main__data="mnist",
        tasks__main__model=LENET,
        variants__ticket__prune__fraction=PAPER,
        rounds=18,
    )
    found = trained.densities_of(asked, "main", "ticket")
    percent = {round: f"{100 * density:.1f}" for round, density in enumerate(found)}
    assert len(percent) == 19
    assert percent[0] == "100.0"
    assert [percent[r] for r in (3, 6, 7, 9, 12, 15, 16, 18)] == [
        "51.3",
        "26.3",
        "21.1",
        "13.5",
        "7.0",
        "3.6",
        "2.9",
        "1.9",
    ]


@pytest.mark.parametrize("control", ["one-shot", "reinit", "random-mask"])
def test_one_shot_and_controls_have_the_tickets_densities(control: str) -> None:
    asked = settings(rounds=9)
    ticket = trained.densities_of(asked, "main", "ticket")
    assert trained.densities_of(asked, "main", control) == ticket


# Groups of seeds


@pytest.mark.parametrize(
    ("seeds", "groups", "expected"),
    [
        ((0, 1), [], [(0, 1)]),
        ((1, 0), [], [(0, 1)]),
        ((0, 1, 2, 3, 4), [(0, 1, 2)], [(0, 1, 2), (3, 4)]),
        ((0, 1), [(0, 1, 2)], [(0, 1, 2)]),
        ((2,), [(0, 1), (2, 3)], [(2, 3)]),
        ((5,), [(0, 1)], [(5,)]),
        ((0, 9), [(0, 1), (2, 3)], [(0, 1), (9,)]),
    ],
)
def test_groups_stay_and_new_seeds_form_a_new_one(
    seeds: tuple[int, ...], groups: Groups, expected: Groups
) -> None:
    assert compiler.regroup(seeds, groups) == expected


SEEDS = st.sets(st.integers(0, 12), min_size=1).map(lambda seeds: tuple(sorted(seeds)))


@given(edits=st.lists(SEEDS, min_size=1, max_size=5))
def test_every_active_seed_is_in_exactly_one_group(edits: Groups) -> None:
    groups: Groups = []
    for seeds in edits:
        before, groups = groups, compiler.regroup(seeds, groups)
        all_seeds = [seed for group in groups for seed in group]
        assert len(set(all_seeds)) == len(all_seeds)
        assert set(seeds) <= set(all_seeds)
        assert all(group in groups for group in before if set(group) & set(seeds))
        assert all(set(group) & set(seeds) for group in groups)


def begun(root: Path, *groups: str) -> None:
    """DVC has run the dense trainings of these groups."""
    stages = "".join(f"  train@main-{group}:\n    cmd: …\n" for group in groups)
    (root / "dvc.lock").write_text(f"schema: '2.0'\nstages:\n{stages}", encoding="utf-8")


def test_two_more_seeds_leave_the_instances_of_the_others_as_they_are(
    tmp_path: Path,
) -> None:
    write(tmp_path, seeds=[0, 1, 2])
    before = items.read(tmp_path)
    begun(tmp_path, "s0-2")
    write(tmp_path, seeds=[0, 1, 2, 3, 4])
    after = items.read(tmp_path)
    assert before is not None
    assert after is not None
    assert items.groups_in(after) == [(0, 1, 2), (3, 4)]
    for stage in KINDS:
        assert before[stage].items() <= after[stage].items()


def test_a_group_that_was_never_run_is_formed_anew(tmp_path: Path) -> None:
    write(tmp_path, seeds=[0, 1, 2])
    begun(tmp_path, "s0-2")
    write(tmp_path, seeds=[0, 1, 2, 3])
    write(tmp_path, seeds=[0, 1, 2, 3, 4])
    assert items.groups_in(items.read(tmp_path)) == [(0, 1, 2), (3, 4)]


def test_active_is_what_the_settings_list() -> None:
    found = compiler.active(settings(seeds=[1]))
    assert found["main"]["ticket"] == (range(1, 3), (1,))
    assert list(found["main"]) == ["ticket", "one-shot", "reinit", "random-mask"]


def test_active_of_a_task_without_variants_is_its_dense_network() -> None:
    task = raw()["tasks"]["main"]
    found = compiler.active(settings(tasks={"main": task, "longer": task}))
    assert found["longer"] == {"dense": (range(0), (0, 1))}


# The file


def test_a_plan_is_written_read_and_current(tmp_path: Path) -> None:
    write(tmp_path)
    assert plan_file.check(settings(), tmp_path) == items.read(tmp_path) == compiled()


def test_writing_it_again_changes_no_byte(tmp_path: Path) -> None:
    write(tmp_path, **two_tasks())
    before = (tmp_path / items.plan_path(tmp_path)).read_bytes()
    write(tmp_path, **two_tasks())
    assert (tmp_path / items.plan_path(tmp_path)).read_bytes() == before


def test_any_grouping_that_covers_the_seeds_is_current(tmp_path: Path) -> None:
    write(tmp_path, seeds=[0])
    begun(tmp_path, "s0")
    write(tmp_path, seeds=[0, 1])
    assert items.groups_in(plan_file.check(settings(), tmp_path)) == [(0,), (1,)]


def test_a_missing_plan_says_how_to_write_it(tmp_path: Path) -> None:
    with pytest.raises(PlanError) as caught:
        plan_file.check(settings(), tmp_path)
    assert str(caught.value) == "plan.json is missing; write it with `lt-pipeline plan`"


@pytest.mark.parametrize(
    ("changes", "difference"),
    [
        ({"rounds": 3}, "11 stages missing, such as prune@main-one-shot-r03-s0-1"),
        ({"rounds": 1}, "11 too many, such as prune@main-one-shot-r02-s0-1"),
        ({"seeds": [0, 1, 2]}, "24 stages missing, such as init@main-s2"),
        (
            {"tasks__main__data": "mnist"},
            "1 stages missing, such as data@mnist, 1 too many, ",
        ),
        (
            {"variants__one-shot__prune__schedule": "iterative"},
            "instances read other files",
        ),
    ],
)
def test_a_stale_plan_says_what_differs_and_what_to_run(
    changes: dict[str, object], difference: str, tmp_path: Path
) -> None:
    write(tmp_path)
    with pytest.raises(PlanError) as caught:
        plan_file.check(settings(**changes), tmp_path)
    message = str(caught.value)
    assert message.startswith(f"pipeline/plan.json does not fit params.yaml ({difference}")
    assert message.endswith("); run `lt-pipeline run`")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "<<<<<<< HEAD",
        "[]",
        '{"plan": []}',
        '{"plan": {"train": {}}}',
        '{"plan": {"train": {"main-s0": {"seeds": "a"}}}}',
        '{"plan": {"train": {"main-s0": {}}}}',
        '{"plan": {"train": {"main-s0": 3}}}',
        '{"plan": {"train": []}}',
        "\udcff",
    ],
)
def test_what_is_no_plan_is_refused(text: str, tmp_path: Path) -> None:
    link_code(tmp_path)
    (tmp_path / items.plan_path(tmp_path)).write_bytes(
        text.encode("utf-8", "surrogateescape")
    )
    message = (
        r"pipeline/plan\.json is not a plan; `lt-pipeline plan` writes it again and keeps "
        r"what is finished"
    )
    with pytest.raises(PlanError, match=message):
        plan_file.check(settings(), tmp_path)
    plan_file.write(settings(), tmp_path)
    assert plan_file.check(settings(), tmp_path)


# What the plan no longer has


def touch(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    return path


def test_instances_that_left_the_plan_are_removed_and_nothing_else(tmp_path: Path) -> None:
    kinds = ("masks", "starts", "trained", "results")
    base = tmp_path / paths.FOLDER
    kept, gone = [], []
    for kind in kinds:
        kept.append(touch(base / kind / "main/ticket/r02/s0-1/file"))
        gone.append(touch(base / kind / "main/ticket/r03/s0-1/file"))
        gone.append(touch(base / kind / "main/ticket/r02/s7/file"))
        gone.append(touch(base / kind / "main/old/r01/s0-1/file"))
        gone.append(touch(base / kind / "main/ticket/r02/.s0-1.77.tmp/file"))
    kept.append(touch(base / "timing/main/ticket/r02/s0-1.json"))
    gone.append(touch(base / "timing/main/ticket/r03/s0-1.json"))
    kept.append(touch(base / "theta0/main/s0-1/s0.safetensors"))
    gone.append(touch(base / "theta0/main/s7/s7.safetensors"))
    gone.append(touch(base / "theta0/old/s0-1/s0.safetensors"))
    kept.append(touch(base / "data/digits.safetensors"))
    kept.append(touch(tmp_path / checkpoints.FOLDER / "main-ticket-r02-s0-1/s0-abc/lock"))
    kept.append(touch(tmp_path / checkpoints.FOLDER / "main-dense-r00-s0-1/s0-abc/lock"))
    gone.append(touch(tmp_path / checkpoints.FOLDER / "main-ticket-r03-s0-1/s0-abc/lock"))
    assert leftovers.remove(compiled(), tmp_path) == len(gone)
    assert all(path.exists() for path in kept)
    assert not any(path.exists() for path in gone)
    assert not (base / "results/main/old").exists()
    assert leftovers.folders(compiled(), tmp_path) == []


# Behind an output


def test_behind_an_output_stand_all_stages_that_it_comes_from() -> None:
    behind = compiler.upstream(compiled())
    assert behind["artifacts/trained/main/reinit/r01/s0-1"] == {
        "data@digits",
        "init@main-s0-1",
        "train@main-s0-1",
        "prune@main-ticket-r01-s0-1",
        "rewind@main-reinit-r01-s0-1",
        "retrain@main-reinit-r01-s0-1",
    }
    random = behind["artifacts/trained/main/random-mask/r02/s0-1"]
    assert "retrain@main-ticket-r01-s0-1" in random
    assert "retrain@main-ticket-r02-s0-1" not in random
    assert not any("one-shot" in stage or "reinit" in stage for stage in random)


# The forecast


@pytest.fixture
def empty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Settings of an experiment without any artifact, in the working directory."""
    write(tmp_path)
    monkeypatch.chdir(tmp_path)
    return settings()


def timed(path: str, steps_per_s: float) -> None:
    """A measured training: 2 seeds at that speed."""
    value = {"seeds": {seed: {"steps_per_s": steps_per_s} for seed in (0, 1)}}
    files.save_json(Path(f"artifacts/timing/{path}.json"), value)


def test_the_forecast_counts_stages_and_trainings(empty: Settings) -> None:
    found = forecast.forecast(empty, compiled(), on_disk(compiled()))
    # plan, data, init, train, results, track; 3 × 2 prune, 4 × 2 rewind and retrain
    assert found.num_stages == 6 + 6 + 8 + 8
    assert found.num_trainings == found.num_missing == 2 * (1 + 8)
    assert 9 * 3 <= found.seconds < 9 * 10
    # 8 × 64 + 8 × 10 weights, 8 + 10 biases; float32 twice and two masks, twice
    assert found.num_bytes == 18 * (592 + 18) * 20


def test_measured_speed_replaces_the_estimate(empty: Settings) -> None:
    timed("main/dense/r00/s0-1", steps_per_s=0.01)
    found = forecast.forecast(empty, compiled(), on_disk(compiled()))
    assert found.seconds == pytest.approx(9 * (4 + 200) + 18 * 0.15)


def test_first_steps_and_later_starts_are_forecast_by_their_share(
    empty: Settings,
) -> None:
    timed("main/dense/r00/s0-1", steps_per_s=0.01)
    asked = settings(
        tasks__main__train__steps=4,
        variants={"ticket": raw()["variants"]["ticket"] | {"rewind": EARLY}},
    )
    found = forecast.forecast(
        asked,
        compiler.compile_plan(asked, GROUP),
        on_disk(compiler.compile_plan(asked, GROUP)),
    )
    assert found.num_trainings == 2 * (1 + 1 + 2)
    # dense 4 steps, early 1, two rounds of 3: 100 s each
    assert found.seconds == pytest.approx(4 * 4 + 100 * (4 + 1 + 3 + 3) + 8 * 0.15)


def test_what_has_a_result_is_not_forecast(empty: Settings) -> None:
    for instance in instances(empty, GROUP):
        touch(paths.results_folder(instance) / "result.json")
    assert forecast.describe(empty, compiled(), on_disk(compiled())) == (
        "plan: 28 stages, 18 trainings; all of them have current results"
    )


def test_networks_that_are_sought_in_random_ones_are_priced(empty: Settings) -> None:
    def sought(candidates: int) -> tuple[forecast.Forecast, str]:
        one = {"of": "dense", "construction": "direct", "candidates": candidates}
        asked = settings(approximations={"strong": one})
        plan = compiler.compile_plan(asked, GROUP)
        there = on_disk(plan)
        return forecast.forecast(asked, plan, there), forecast.describe(asked, plan, there)

    found, text = sought(30)
    without = forecast.forecast(empty, compiled(), on_disk(compiled()))
    assert (found.num_sought, without.num_sought) == (2, 0)
    assert without.seconds < sought(20)[0].seconds < found.seconds
    assert ", 2 networks are sought in random ones: about " in text


def test_the_forecast_of_the_paper_is_sane(empty: Settings) -> None:
    asked = settings(
        tasks__main__data="mnist",
        tasks__main__model=LENET,
        tasks__main__train__steps=10_000,
        tasks__main__train__batch_size=60,
        tasks__main__train__evaluate_every=100,
        variants__ticket__prune__fraction=PAPER,
        rounds=20,
        workers=1,
    )
    found = forecast.forecast(
        asked,
        compiler.compile_plan(asked, GROUP),
        on_disk(compiler.compile_plan(asked, GROUP)),
    )
    per_step = found.seconds / found.num_missing / 10_000
    assert 1 / 2000 < per_step < 1 / 300  # design.md section 8: 480 to 920 steps/s


def test_an_engine_of_kept_weights_is_forecast_to_cost_what_they_are(
    empty: Settings,
) -> None:
    def seconds(engine: str, rounds: int) -> float:
        asked = settings(
            tasks__main__data="mnist",
            tasks__main__model=LENET,
            tasks__main__train__steps=10**8,
            tasks__main__train__evaluate_every=10**8,
            tasks__main__train__engine=engine,
            variants={"ticket": raw()["variants"]["ticket"]},
            rounds=rounds,
            workers=1,
        )
        return forecast.forecast(
            asked,
            compiler.compile_plan(asked, GROUP),
            on_disk(compiler.compile_plan(asked, GROUP)),
        ).seconds

    def fifth_round(engine: str) -> float:
        return seconds(engine, 5) - seconds(engine, 4)

    density = trained.densities_of(
        settings(tasks__main__data="mnist", tasks__main__model=LENET, rounds=5),
        "main",
        "ticket",
    )[5]
    assert fifth_round("sparse") == pytest.approx(
        density * 6 / 4 * fifth_round("dense"), rel=0.01
    )


def test_a_huge_experiment_is_forecast_too(empty: Settings) -> None:
    asked = settings(
        tasks__main__model__widths=[10**9] * 3,
        tasks__main__train__steps=10**9,
        rounds=99,
    )
    text = forecast.describe(
        asked,
        compiler.compile_plan(asked, GROUP),
        on_disk(compiler.compile_plan(asked, GROUP)),
    )
    assert text.startswith("plan: ")
