"""``lt-pipeline init`` makes an experiment in a repository of the user's own."""

import subprocess
import sys
from pathlib import Path

import pytest
from helpers import experiment
from helpers.command import refused, run
from helpers.workspace import ROOT
from ruamel.yaml import YAML

from pipeline.border import root, user_code
from pipeline.config import params
from pipeline.plan import compiler, fingerprints, items, plan_file
from pipeline.plan.items import items_of
from pipeline.run import checkpoints

WRITTEN = {
    ".dvc/plots/rounds.json",
    ".dvcignore",
    ".gitignore",
    "MLproject",
    "dvc.yaml",
    "params.schema.json",
    "params.yaml",
    "plan.json",
}


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A user's repository, where DVC works already."""
    folder = tmp_path / "theirs"
    (folder / ".dvc").mkdir(parents=True)
    subprocess.run(["git", "init", "--quiet"], cwd=folder, check=True)
    return folder


def contents(folder: Path) -> dict[str, bytes]:
    found = (path for path in folder.rglob("*") if path.is_file())
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in found
        if ".git" not in path.parts
    }


def test_it_writes_an_experiment_and_nothing_the_second_time(repository: Path) -> None:
    (repository / ".gitignore").write_text("mine.csv\n/artifacts/")
    ended = run(repository, "init")
    assert (ended.code, ended.errors) == (0, "")
    written = contents(repository)
    assert set(written) == WRITTEN
    lines = written[".gitignore"].decode().splitlines()
    assert lines[:2] == ["mine.csv", "/artifacts/"]
    assert lines.count("/artifacts/") == 1
    assert plan_file.check(params.load(repository), repository)
    ended = run(repository, "init")
    assert ended.output == "next: lt-pipeline run\n"
    assert contents(repository) == written


def test_lines_of_an_ignore_file_stay_byte_for_byte(repository: Path) -> None:
    before = "données/\r\n*.tmp\r\n".encode("latin-1")
    (repository / ".gitignore").write_bytes(before)
    assert run(repository, "init").code == 0
    added = (repository / ".gitignore").read_bytes().removeprefix(before)
    assert added.startswith(b"# ")
    assert b"\n/artifacts/\n" in added


def test_settings_that_are_there_stay_and_are_planned(repository: Path) -> None:
    text = (ROOT / "params.yaml").read_text().replace("rounds: 10", "rounds: 2")
    (repository / "params.yaml").write_text(text)
    assert run(repository, "init").code == 0
    assert (repository / "params.yaml").read_text() == text
    plan = items.read(repository)
    assert plan is not None
    assert {item.number("round") for item in items_of(plan, "retrain")} == {1, 2}


def test_settings_that_are_wrong_are_told_before_anything_is_written(
    repository: Path,
) -> None:
    (repository / "params.yaml").write_text("rounds: x\n")
    assert "params.yaml: experiment, seeds, tasks" in refused(repository, "init")
    assert set(contents(repository)) == {"params.yaml"}


def test_its_stages_are_those_of_this_repository_without_its_code(repository: Path) -> None:
    run(repository, "init")
    yaml = YAML(typ="safe", pure=True)
    theirs = yaml.load((repository / "dvc.yaml").read_text())
    ours = yaml.load((ROOT / "dvc.yaml").read_text())
    assert theirs["vars"] == ["plan.json"]
    plan = theirs["stages"].pop("plan")
    assert plan["always_changed"] is True
    assert plan["deps"] == ["params.yaml", "plan.json"]
    assert plan["outs"] == ours["stages"].pop("plan")["outs"]
    expected = str(ours["stages"]).replace("pipeline/plan.json", "plan.json")
    assert str(theirs["stages"]) == expected.replace("python -m", "python -P -m")
    assert theirs["plots"] == ours["plots"]


def test_commands_are_what_the_plan_takes_dvcs_record_for(repository: Path) -> None:
    run(repository, "init")
    plan = items.read(repository)
    assert plan is not None
    item = next(items_of(plan, "train"))
    assert item.command(repository) == f"python -P -m pipeline.stages.train {item.key}"
    assert item.command(ROOT) == f"python -m pipeline.stages.train {item.key}"


# Refusals


def test_a_folder_without_git_is_refused(tmp_path: Path) -> None:
    message = refused(tmp_path, "init", "lottery")
    assert "lies in no git repository" in message
    assert message.endswith("run `git init` in your repository first")


def test_a_clone_of_this_repository_is_refused() -> None:
    ended = run(ROOT, "init")
    assert ended.code == 2
    assert "is a clone of lt-pipeline, which is an experiment already" in ended.errors


def test_stages_of_the_users_own_are_never_replaced(repository: Path) -> None:
    (repository / "dvc.yaml").write_text("stages: {}\n")
    message = refused(repository, "init")
    assert message.startswith("dvc.yaml of other content lie there")
    for yes in ((), ("--yes",)):
        message = refused(repository, "init", "--update", *yes)
        assert message.startswith("dvc.yaml was not written by `lt-pipeline init`")
    assert run(repository, "init", "lottery").code == 0
    assert (repository / "lottery/dvc.yaml").is_file()
    assert (repository / "dvc.yaml").read_text() == "stages: {}\n"


def test_an_update_where_there_is_no_experiment_is_refused(repository: Path) -> None:
    assert "has no dvc.yaml" in refused(repository, "init", "--update")


# An upgrade


def test_an_update_shows_the_difference_and_writes_it_when_told_to(
    repository: Path,
) -> None:
    run(repository, "init")
    now = contents(repository)
    file = repository / "dvc.yaml"
    file.write_text(file.read_text().replace("python -P", "python -I"))
    (repository / "params.yaml").write_text(
        (repository / "params.yaml").read_text().replace("rounds: 10", "rounds: 9")
    )
    mine = contents(repository)
    ended = run(repository, "init", "--update")
    assert ended.code == 0
    assert "-    cmd: python -I -m pipeline.stages.plan\n" in ended.output
    assert "+    cmd: python -P -m pipeline.stages.plan\n" in ended.output
    assert ended.output.endswith("`lt-pipeline init --update --yes` writes it\n")
    assert contents(repository) == mine
    assert run(repository, "init", "--update", "--yes").code == 0
    assert contents(repository) == now | {"params.yaml": mine["params.yaml"]}
    ended = run(repository, "init", "--update")
    assert ended.output == "nothing differs from the installed version\n"


# The code that runs


def inputs() -> Path:
    plan = compiler.compile_plan(experiment.settings(), [experiment.SEEDS])
    return next(items_of(plan, "retrain")).path("inputs")


def test_code_is_fingerprinted_where_it_is_installed(
    repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = fingerprints.text(inputs(), fingerprints.NOTHING, {}, ROOT)
    (repository / "pipeline").mkdir()  # of the user's own
    (repository / "pipeline/__init__.py").write_text("raise RuntimeError\n")
    assert fingerprints.text(inputs(), fingerprints.NOTHING, {}, repository) == here
    monkeypatch.chdir(ROOT)
    digest = checkpoints.code_digest()
    monkeypatch.chdir(repository)
    assert checkpoints.code_digest() == digest
    assert root.code_root(repository) == ROOT


def test_a_folder_of_the_name_does_not_hide_the_package(
    repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "path", ["/first", "/second"])
    root.make_importable(repository)
    assert sys.path == [str(repository), "/first", "/second"]
    monkeypatch.setattr(sys, "path", ["/first", "/second"])
    (repository / "pipeline").mkdir()
    root.make_importable(repository)
    assert sys.path == ["/first", "/second", str(repository)]
    assert (root.safe_path(repository), root.safe_path(ROOT)) == (["-P"], [])


def test_a_function_in_such_a_folder_is_one_line(
    repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "path", list(sys.path))
    (repository / "pipeline").mkdir()
    (repository / "pipeline/mine.py").write_text("def build(data): ...\n")
    with pytest.raises(user_code.CodeError, match="the name pipeline is lt-pipeline's own"):
        user_code.files_behind("pipeline.mine", root=repository)
