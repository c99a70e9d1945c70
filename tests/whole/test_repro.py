"""What ``dvc repro`` trains after an edit, and what DVC's other commands do here.

The real dvc on the small experiment of ``workspace.py``: tickets and their reinitialised
controls over 2 rounds with the seeds 0 and 1. Its trainings are ``main-s0-1`` (dense) and
``main-VARIANT-rNN-s0-1``.
"""

import json
import shutil
from copy import deepcopy
from pathlib import Path

import pytest
from helpers.tracked import experiments, tracked_chains
from helpers.workspace import ONE_SHOT, Ran, Workspace, copy

DENSE = "main-s0-1"
TICKET = {"main-ticket-r01-s0-1", "main-ticket-r02-s0-1"}
REINIT = {"main-reinit-r01-s0-1", "main-reinit-r02-s0-1"}
ALL = {DENSE} | TICKET | REINIT


def test_the_first_run_trains_every_round(finished: Workspace) -> None:
    assert finished.trainings() == ALL


def test_a_second_run_executes_nothing(workspace: Workspace) -> None:
    assert workspace.repro().executed == ()


def test_edits_of_all_kinds_at_once_train_what_each_asks_for(workspace: Workspace) -> None:
    params = workspace.params()
    params["variants"]["reinit"]["rewind"]["draw"] = 1
    params["variants"]["gradual"] = gradual()
    params["tasks"]["longer"] = deepcopy(params["tasks"]["main"])
    params["tasks"]["longer"]["train"]["steps"] *= 3
    workspace.write_params(params | {"rounds": 3})
    workspace.plan()
    ran = workspace.repro()
    assert ran.trained == {
        "main-ticket-r03-s0-1",  # a round more
        *(REINIT | {"main-reinit-r03-s0-1"}),  # another rewind target
        *(f"main-gradual-r0{round}-s0-1" for round in (1, 2, 3)),  # a variant more
        "longer-s0-1",  # a task without variants
    }
    assert not any(name.startswith("prune@main-gradual") for name in ran.executed)
    table = (workspace.root / "results/rounds.csv").read_text()
    assert "longer,dense,0,1," in table


@pytest.mark.slow
def test_a_seed_more_trains_that_seed_only(workspace: Workspace) -> None:
    before = workspace.hashes()
    workspace.edit(rounds=1, seeds=[0, 1, 7])
    ran = workspace.repro()
    assert ran.trained == {"main-s7", "main-ticket-r01-s7", "main-reinit-r01-s7"}
    after = workspace.hashes()
    assert {path for path in before.keys() & after if before[path] != after[path]} == set()


# What that test sees at once, one by one in the slow suite


@pytest.mark.slow
def test_appended_rounds_are_the_only_ones_trained(workspace: Workspace) -> None:
    workspace.edit(rounds=3)
    assert workspace.repro().trained == {"main-ticket-r03-s0-1", "main-reinit-r03-s0-1"}


@pytest.mark.slow
def test_another_rewind_target_trains_the_rounds_of_its_variant(
    workspace: Workspace,
) -> None:
    workspace.edit(variants__reinit__rewind__draw=1)
    assert workspace.repro().trained == REINIT


@pytest.mark.slow
def test_a_variant_more_trains_that_variant_only(workspace: Workspace) -> None:
    add_variant(workspace, "one-shot", ONE_SHOT)
    ran = workspace.repro()
    assert ran.trained == {"main-one-shot-r01-s0-1", "main-one-shot-r02-s0-1"}


@pytest.mark.slow
def test_gradual_rounds_train_from_theta0_and_of_another_target_only_themselves(
    workspace: Workspace,
) -> None:
    add_variant(workspace, "gradual", gradual())
    rounds = {"main-gradual-r01-s0-1", "main-gradual-r02-s0-1"}
    ran = workspace.repro()
    assert ran.trained == rounds
    assert not any(name.startswith("prune@main-gradual") for name in ran.executed)
    assert workspace.repro().executed == ()
    workspace.edit(variants__gradual__prune__fraction={"fc": 0.4, "output": 0.15})
    assert workspace.repro().trained == rounds


@pytest.mark.slow
def test_a_task_without_variants_trains_its_dense_network(
    workspace: Workspace,
) -> None:
    value = workspace.params()
    value["tasks"]["longer"] = deepcopy(value["tasks"]["main"])
    value["tasks"]["longer"]["train"]["steps"] *= 3
    workspace.write_params(value)
    workspace.plan()
    assert workspace.repro().trained == {"longer-s0-1"}
    table = (workspace.root / "results/rounds.csv").read_text()
    assert "longer,dense,0,1," in table


# Back to what was there


@pytest.mark.slow
def test_fewer_of_anything_trains_nothing_and_going_back_restores_it(
    workspace: Workspace,
) -> None:
    before = workspace.hashes()
    whole = workspace.params()
    fewer = deepcopy(whole) | {"rounds": 1, "seeds": [0]}
    del fewer["variants"]["reinit"]
    workspace.write_params(fewer)
    workspace.plan()
    assert workspace.repro().trained == set()
    assert workspace.trainings() == {DENSE, "main-ticket-r01-s0-1"}

    workspace.write_params(whole)
    workspace.plan()
    assert workspace.repro().trained == set()
    assert workspace.hashes() == before


@pytest.mark.slow
def test_earlier_settings_are_restored_and_not_trained_again(
    workspace: Workspace,
) -> None:
    before = workspace.hashes()
    workspace.edit(rounds=1, variants__reinit__rewind__draw=1)
    assert workspace.repro().trained == {"main-reinit-r01-s0-1"}

    workspace.edit(rounds=2, variants__reinit__rewind__draw=0)
    ran = workspace.repro()
    assert ran.trained == set()
    assert "cached - skipping run" in ran.output
    assert workspace.hashes() == before


def test_touched_and_deleted_artifacts_are_restored(workspace: Workspace) -> None:
    before = workspace.hashes()
    base = workspace.root / "artifacts"
    touched = base / "trained/main/ticket/r01/s0-1/s0.weights.safetensors"
    content = touched.read_bytes()
    touched.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    (base / "masks/main/ticket/r02/s0-1/s1.safetensors").unlink()
    (base / "results/main/reinit/r01/s0-1/result.json").unlink()
    assert workspace.hashes() != before

    assert workspace.repro().trained == set()
    assert workspace.hashes() == before


def test_code_that_no_result_depends_on_makes_nothing_stale(workspace: Workspace) -> None:
    base = workspace.root / "pipeline"
    folders = ("compare", "inspect", "plots", "presets", "tracking")
    views = [base / "cli.py", *(f for name in folders for f in base.glob(f"{name}/*.py"))]
    assert len(views) > 10
    for file in views:
        file.write_text(file.read_text() + "\nEDITED = True\n")
    (workspace.root / "README.md").write_text("# Edited\n")
    assert workspace.repro().executed == ()


@pytest.mark.slow
def test_a_criterion_more_and_its_edit_leave_the_other_chains_alone(
    workspace: Workspace,
) -> None:
    workspace.edit(rounds=1)
    workspace.repro()
    folder = workspace.root / "pipeline/core/criteria"
    other = (folder / "magnitude.py").read_text().replace("def magnitude", "def other")
    (folder / "other.py").write_text(other)
    workspace.replace(
        "pipeline/core/criteria/__init__.py",
        "    __name__,\n    {\n",
        '    __name__,\n    {\n        "other": Criterion(module="other"),\n',
    )
    recipe = deepcopy(ONE_SHOT)
    recipe["prune"] |= {"criterion": "other"}  # type: ignore[operator] # a nested dict
    add_variant(workspace, "other", recipe)
    assert workspace.repro().trained == {"main-other-r01-s0-1"}

    kept = "np.abs(evidence.trained[name])"
    workspace.replace("pipeline/core/criteria/magnitude.py", kept, f"-{kept}")
    trained = {"main-ticket-r01-s0-1", "main-reinit-r01-s0-1"}
    assert workspace.repro().trained == trained


def test_an_edit_without_consequence_stops_where_its_result_is_the_same(
    workspace: Workspace,
) -> None:
    workspace.replace("pipeline/core/criteria/magnitude.py", "Scores from", "A score from")
    ran = workspace.repro()
    assert {name for name in ran.executed if name.startswith("prune@")} == {
        "prune@main-ticket-r01-s0-1",
        "prune@main-ticket-r02-s0-1",
    }
    assert ran.trained == set()


def test_a_stage_asked_for_alone_sees_an_edit_of_its_code(workspace: Workspace) -> None:
    target = "prune@main-ticket-r01-s0-1"
    file = "pipeline/core/criteria/magnitude.py"
    workspace.replace(file, "Scores from", "A score from")
    assert workspace.repro(target).executed == ("plan", target)


@pytest.mark.slow
def test_code_of_methods_that_are_not_used_is_hashed_again_and_runs_nothing(
    workspace: Workspace,
) -> None:
    for name in (
        "core/criteria/sizes.py",
        "core/starts/permuted.py",
        "engines/dense/engine.py",
        "run/progress.py",
    ):
        file = workspace.root / "pipeline" / name
        file.write_text(file.read_text() + "\nEDITED = True\n")
    assert workspace.repro().executed == ("plan",)
    shutil.rmtree(workspace.root / "artifacts/inputs")
    assert workspace.repro().executed == ("plan",)


@pytest.mark.slow
def test_another_initialization_trains_everything(workspace: Workspace) -> None:
    workspace.edit(rounds=1, variants={"ticket": workspace.params()["variants"]["ticket"]})
    workspace.replace("pipeline/core/models/init.py", "(std * drawn)", "(-std * drawn)")
    assert workspace.repro().trained == {DENSE, "main-ticket-r01-s0-1"}


def test_a_comment_on_a_setting_runs_nothing(workspace: Workspace) -> None:
    workspace.replace("params.yaml", "rounds:", "# how often to prune\nrounds:")
    assert workspace.repro().executed == ("plan",)


def test_a_stale_plan_stops_before_anything_runs(workspace: Workspace) -> None:
    params = workspace.params()
    workspace.write_params(params | {"rounds": 3})
    ran = dvc(workspace, "repro", ok=False)
    assert ran.executed == ("plan",)
    assert "run `lt-pipeline run`" in ran.output
    assert "Traceback" not in ran.output


@pytest.mark.slow
def test_renaming_the_experiment_trains_nothing(workspace: Workspace) -> None:
    workspace.edit(experiment="renamed")
    ran = dvc(workspace, "repro")
    assert set(ran.executed) <= {"plan", "track"}
    assert experiments(workspace) == {"renamed"}


@pytest.mark.slow
def test_an_experiment_with_another_setting_trains_and_is_tracked(
    workspace: Workspace,
) -> None:
    workspace.edit(rounds=1, variants={"ticket": workspace.params()["variants"]["ticket"]})
    workspace.repro()
    workspace.commit("one round of one variant")
    ran = dvc(workspace, "exp", "run", "-S", "tasks.main.train.lr=0.2")
    assert ran.trained == {DENSE, "main-ticket-r01-s0-1"}
    assert workspace.params()["tasks"]["main"]["train"]["lr"] == 0.2
    found = tracked_chains(workspace)
    expected = {"dense": {0}, "ticket": {0, 1}}
    assert found == {f"{n}-s{s}": rounds for n, rounds in expected.items() for s in (0, 1)}


@pytest.mark.slow
def test_a_temporary_experiment_is_tracked_in_the_repository_around_it(
    workspace: Workspace,
) -> None:
    before = workspace.hashes()
    ran = dvc(workspace, "exp", "run", "--temp", "-S", "variants.reinit.rewind.draw=1")
    assert ran.trained == REINIT
    assert tracked_chains(workspace).keys() == {
        "dense-s0",
        "dense-s1",
        "ticket-s0",
        "ticket-s1",
        "reinit-s0",
        "reinit-s1",
    }
    assert workspace.hashes() == before


def test_an_experiment_that_needs_a_new_plan_says_so(workspace: Workspace) -> None:
    ran = dvc(workspace, "exp", "run", "-S", "rounds=3", ok=False)
    assert ran.trained == set()
    assert ran.output.count("run `lt-pipeline exp run -S …`") == 1
    assert "Traceback" not in ran.output


def test_dvc_shows_changed_settings(workspace: Workspace) -> None:
    workspace.edit(tasks__main__train__lr=0.2)
    ran = dvc(workspace, "params", "diff", "--json")
    changed = {file: list(keys) for file, keys in json.loads(ran.output).items()}
    assert changed == {"params.yaml": ["tasks.main.train.lr"]}


def test_dvc_shows_metrics_of_every_variant(workspace: Workspace) -> None:
    shown = json.loads(dvc(workspace, "metrics", "show", "--json").output)
    text = json.dumps(shown[""]["data"]["results/summary.json"])
    assert "ticket" in text
    assert "reinit" in text


def test_dvc_draws_the_results(workspace: Workspace) -> None:
    dvc(workspace, "plots", "show", "--out", "drawn")
    page = (workspace.root / "drawn/index.html").read_text()
    assert all(title in page for title in ("test accuracy", "early-stop step"))
    assert all(variant in page for variant in ("ticket", "reinit"))
    assert "test accuracy (%), mean and min" in page
    assert "Weights remaining (%)" in page
    assert "<DVC_METRIC" not in page


@pytest.mark.slow
def test_a_clone_pulls_instead_of_training_and_is_tracked(
    workspace: Workspace, tmp_path: Path
) -> None:
    dvc(workspace, "remote", "add", "--default", "store", str(tmp_path / "store"))
    workspace.commit("a place for artifacts")
    dvc(workspace, "push")
    clone = Workspace(root=tmp_path / "other", home=workspace.home)
    workspace.done("git", "clone", "--quiet", str(workspace.root), str(clone.root))
    dvc(clone, "pull")
    ran = dvc(clone, "repro")
    assert set(ran.executed) <= {"plan", "results", "track"}
    assert clone.hashes().items() >= workspace.hashes().items()
    assert tracked_chains(clone)["ticket-s0"] == {0, 1, 2}
    assert dvc(clone, "repro").executed == ()


@pytest.mark.slow
def test_an_older_commit_is_checked_out_without_training(workspace: Workspace) -> None:
    before = workspace.hashes()
    older = workspace.done("git", "rev-parse", "HEAD").output.strip()
    workspace.edit(rounds=1, variants__reinit__rewind__draw=1)
    assert workspace.repro().trained == {"main-reinit-r01-s0-1"}
    workspace.commit("another draw")
    newer = copy(workspace, workspace.root.parent / "newer")

    workspace.done("git", "checkout", "--quiet", older)
    dvc(workspace, "checkout")
    assert workspace.hashes() == before
    assert workspace.repro().trained == set()

    newer.done("git", "checkout", "--quiet", older)
    assert newer.repro().trained == set()
    assert newer.hashes() == before


def dvc(workspace: Workspace, *arguments: str, ok: bool = True) -> Ran:
    """Run dvc and see it succeed, or fail."""
    ran = workspace.run("python", "-m", "dvc", *arguments)
    assert (ran.code == 0) == ok, ran.output
    return ran


def gradual() -> dict[str, object]:
    """One-shot's recipe, pruned while it trains."""
    recipe = deepcopy(ONE_SHOT)
    recipe["prune"]["schedule"] = "gradual"  # type: ignore[index] # a nested dict
    return recipe


def add_variant(workspace: Workspace, name: str, recipe: dict[str, object]) -> None:
    params = workspace.params()
    params["variants"][name] = recipe
    workspace.write_params(params)
    workspace.plan()


@pytest.fixture(autouse=True)
def _nothing_keeps_running(workspace: Workspace) -> object:
    yield
    assert workspace.processes() == []
