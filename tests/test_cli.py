"""The command line: its help, its exit codes, its one-line messages."""

import errno
import os
import re
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest
from helpers import synthetic
from helpers.command import listing, refused, run
from helpers.experiment import edited, write
from typer.main import get_group

from pipeline import cli, presets
from pipeline.artifacts import files
from pipeline.border import root
from pipeline.border.root import RootError
from pipeline.config import params
from pipeline.plan import items, plan_file
from pipeline.tracking import track

COMMANDS = [name for name in get_group(cli.app).commands if name != "init"]
ARGUMENTS = {
    "check": ["mypkg.scores:mine"],
    "exp": ["run"],
    "use": ["digits"],
    "export": ["--round", "1", "--out", "ticket.safetensors"],
}
"""what a command needs at least"""


# Help


def test_no_command_is_missing() -> None:
    wanted = [
        "presets",
        "use",
        "params",
        "plan",
        "status",
        "verify",
        "export",
        "track",
        "plot",
    ]
    assert [name for name in COMMANDS if name in wanted] == wanted


@pytest.mark.parametrize("command", ["", *COMMANDS])
def test_every_help_ends_with_an_example(command: str, tmp_path: Path) -> None:
    ended = run(tmp_path, *command.split(), "--help")
    assert ended.code == 0
    last = ended.output.rstrip().rpartition("\n\n")[2]
    assert " ".join(last.split()).startswith(f"Example: lt-pipeline {command}".rstrip())


def test_no_command_is_the_help(tmp_path: Path) -> None:
    ended = run(tmp_path)
    assert "Usage: " in ended.output + ended.errors


def test_the_version_is_that_of_the_installed_package(tmp_path: Path) -> None:
    ended = run(tmp_path, "--version")
    assert (ended.code, ended.output) == (0, f"lt-pipeline {version('lt-pipeline')}\n")


@pytest.mark.parametrize("arguments", [["plna"], ["plan", "--chek"], ["use"], ["export"]])
def test_a_wrong_command_line_is_exit_code_2(arguments: list[str], tmp_path: Path) -> None:
    ended = run(tmp_path, *arguments)
    assert (ended.code, ended.output) == (2, "")
    assert "Error" in ended.errors or "No such" in ended.errors


def test_the_help_waits_for_no_heavy_import() -> None:
    code = (
        "import sys; from pipeline import cli\n"
        "try: sys.argv = ['lt-pipeline', '--help']; cli.main()\n"
        "except SystemExit: pass\n"
        "heavy = {'torch', 'mlflow', 'pandas', 'matplotlib', 'numpy', 'pyarrow', 'dvc'}\n"
        "heavy |= {'importlib.metadata', 'asyncio', 'rich', 'yaml', 'pydantic'}\n"
        "sys.exit(', '.join(heavy & set(sys.modules)) or 0)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")


# Where it is called from


@pytest.mark.parametrize("command", COMMANDS)
def test_outside_of_an_experiment_every_command_is_refused(
    command: str, tmp_path: Path
) -> None:
    assert refused(tmp_path, command, *ARGUMENTS.get(command, [])) == (
        f"no dvc.yaml in {tmp_path} or above it; change into your clone of lt-pipeline, or "
        "make an experiment here with `lt-pipeline init`"
    )


@pytest.mark.parametrize(
    "command",
    ["init", "status", "plot", "export --round 1 --out t", "compare --uri ."],
)
def test_a_working_directory_that_is_gone_is_one_line(command: str, tmp_path: Path) -> None:
    (tmp_path / "gone").mkdir()
    code = (
        "import os, sys\n"
        "os.rmdir(os.getcwd())\n"
        "from pipeline import cli\n"
        f"sys.argv = ['lt-pipeline', *{command.split()}]\n"
        "cli.main()\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path / "gone",
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (
        "lt-pipeline: the working directory was deleted; change into the folder of your "
        "experiment\n"
    )


def test_every_command_works_from_a_folder_below_the_root(tmp_path: Path) -> None:
    write(tmp_path)
    below = tmp_path / "notes/today"
    below.mkdir(parents=True)
    assert run(below, "plan", "--check").code == 0
    assert list(below.iterdir()) == []


def test_the_nearest_experiment_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    inner = tmp_path / "inner"
    (inner / "below").mkdir(parents=True)
    (tmp_path / "dvc.yaml").touch()
    monkeypatch.chdir(inner / "below")
    assert root.find() == tmp_path
    (inner / "dvc.yaml").touch()
    assert root.find() == inner


def test_a_folder_called_dvc_yaml_is_no_experiment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "dvc.yaml").mkdir()
    monkeypatch.chdir(tmp_path)
    with pytest.raises(RootError, match=r"^no dvc\.yaml in "):
        root.find()


@pytest.mark.parametrize("clone", ["tmpabc", "standalone/tmpabc"])
@pytest.mark.parametrize("below", ["", "lottery", "papers/lottery"])
@pytest.mark.parametrize("dvc_root", ["", "papers"])
def test_a_temporary_experiment_of_dvc_belongs_to_the_experiment_around_it(
    tmp_path: Path, clone: str, below: str, dvc_root: str
) -> None:
    (tmp_path / ".git").mkdir()
    inside = tmp_path / dvc_root / ".dvc/tmp/exps" / clone / below
    inside.mkdir(parents=True)
    assert root.enclosing(inside) == tmp_path / below
    assert root.enclosing(tmp_path) == tmp_path


def test_without_git_a_temporary_experiment_belongs_to_the_folder_with_dvc(
    tmp_path: Path,
) -> None:
    inside = tmp_path / ".dvc/tmp/exps/tmpabc/lottery"
    inside.mkdir(parents=True)
    assert root.enclosing(inside) == tmp_path / "lottery"


# Presets


@pytest.fixture
def clone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A git repository with the toy experiment committed."""
    for name in ("GIT_DIR", "GIT_INDEX_FILE", "GIT_WORK_TREE"):
        monkeypatch.delenv(name, raising=False)
    for role in ("AUTHOR", "COMMITTER"):
        monkeypatch.setenv(f"GIT_{role}_NAME", "test")
        monkeypatch.setenv(f"GIT_{role}_EMAIL", "test@localhost")
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    folder = tmp_path / "clone"
    folder.mkdir()
    write(folder)
    git(folder, "init", "--quiet")
    commit(folder)
    return folder


def git(folder: Path, *arguments: str) -> None:
    subprocess.run(["git", *arguments], cwd=folder, check=True)


def commit(folder: Path) -> None:
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--message", "all")


def test_presets_are_listed_with_what_they_are(tmp_path: Path) -> None:
    (tmp_path / "dvc.yaml").touch()
    ended = run(tmp_path, "presets")
    assert ended.code == 0
    said = [line.split() for line in ended.output.splitlines() if line]
    names = [words[0] for words in said if words[0] in presets.names()]
    assert sorted(names) == presets.names()
    assert names[:2] == ["digits", "mnist-lenet"]
    # Words are not broken: every one of a description stands there.
    everything = {word for words in said for word in words}
    assert {w for n in names for w in presets.description(n).split()} <= everything


def test_a_shell_completes_commands_and_presets(tmp_path: Path) -> None:
    def completed(*words: str) -> set[str]:
        env = os.environ | {
            "_LT_PIPELINE_COMPLETE": "complete_bash",
            "COMP_WORDS": " ".join(("lt-pipeline", *words)),
            "COMP_CWORD": str(len(words)),
        }
        code = "from pipeline import cli; cli.app(prog_name='lt-pipeline')"
        command = [sys.executable, "-c", code]
        done = subprocess.run(
            command, cwd=tmp_path, env=env, capture_output=True, text=True, check=False
        )
        return set(done.stdout.split())

    assert completed("pre") == {"presets"}
    assert completed("use", "digi") == {"digits"}


@pytest.mark.parametrize("name", presets.names())
def test_every_preset_is_valid_and_stays_under_320_stages(
    name: str, tmp_path: Path
) -> None:
    (tmp_path / "pipeline").mkdir()
    current = presets.use(name, tmp_path, force=False)
    assert params.load(tmp_path) == params.parse(params.parse_yaml(presets.text_of(name)))
    assert plan_file.check(params.load(tmp_path), tmp_path) == current
    assert sum(len(items) for items in current.values()) < 317  # plan, results, track


def test_use_writes_the_settings_and_the_plan(clone: Path) -> None:
    ended = run(clone, "use", "digits")
    assert (ended.code, ended.errors) == (0, "")
    assert ended.output.startswith("plan: ")
    assert (clone / "params.yaml").read_text() == presets.text_of("digits")
    assert run(clone, "plan", "--check").code == 0


def test_use_refuses_an_unknown_preset(clone: Path) -> None:
    assert refused(clone, "use", "digit") == "unknown preset: digit; did you mean digits?"
    assert presets.names()[0] in refused(clone, "use", "nothing like it")


@pytest.mark.parametrize("content", [b"# my edits\n", b"\xff\x00 junk"])
def test_use_refuses_to_lose_edits_unless_forced(clone: Path, content: bytes) -> None:
    (clone / "params.yaml").write_bytes(content)
    assert refused(clone, "use", "digits") == (
        "params.yaml has edits that are not committed; commit them, or overwrite them "
        "with --force"
    )
    assert run(clone, "use", "digits", "--force").code == 0
    assert (clone / "params.yaml").read_text() == presets.text_of("digits")


def test_use_refuses_to_lose_a_file_that_git_never_had(clone: Path) -> None:
    git(clone, "rm", "--quiet", "--cached", "params.yaml")
    git(clone, "commit", "--quiet", "--message", "without")
    assert "has edits that are not committed" in refused(clone, "use", "digits")


def test_what_git_refuses_is_said_as_git_says_it(
    clone: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (clone / ".git").rename(clone / "gone")
    (clone / "params.yaml").write_text("# my edits\n")
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(clone.parent))
    message = refused(clone, "use", "digits")
    assert message.startswith("git does not say whether params.yaml has edits")
    assert "not a git repository" in message
    monkeypatch.setenv("PATH", "")
    assert "'git'" in refused(clone, "use", "digits")


def test_an_unknown_format_is_refused_before_the_store_is_read(clone: Path) -> None:
    assert refused(clone, "plot", "--format", "jpg") == (
        "unknown format: jpg; did you mean png? (known: png, svg, pdf)"
    )


def test_use_twice_is_no_edit(clone: Path) -> None:
    assert run(clone, "use", "digits").code == 0
    assert run(clone, "use", "digits").code == 0


def test_use_refuses_a_damaged_plan_before_anything_is_written(clone: Path) -> None:
    (clone / items.plan_path(clone)).write_text("<<<<<<< HEAD")
    assert "pipeline/plan.json is not a plan" in refused(clone, "use", "digits")


@pytest.mark.parametrize(
    ("command", "name"),
    [
        ("plan", "plan.json"),
        ("use lenet-quick", "plan.json"),
        ("use lenet-quick", "params.yaml"),
    ],
)
def test_a_full_disk_leaves_settings_and_plan_as_they_were(
    command: str, name: str, clone: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(path: Path) -> None:
        if name in path.name:
            raise OSError(errno.ENOSPC, "No space left on device")

    kept = clone / "params.yaml", clone / items.plan_path(clone)
    before = [path.read_bytes() for path in kept]
    monkeypatch.setattr(files, "sync", full)
    ended = run(clone, *command.split())
    assert (ended.code, ended.output) == (2, "")
    assert ended.errors.count("\n") == 1
    assert f"{name} cannot be written: No space left on device; free some" in ended.errors
    assert [path.read_bytes() for path in kept] == before
    assert list(clone.rglob("*.tmp")) == []


@pytest.mark.parametrize("command", ["run", "exp run"])
def test_a_user_without_a_home_is_told_to_set_one(
    command: str, clone: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unknown(_: int) -> None:
        raise KeyError("getpwuid(): uid not found: 4711")

    monkeypatch.delenv("HOME")
    monkeypatch.setattr("pwd.getpwuid", unknown)
    message = refused(clone, *command.split())
    assert "has no home folder" in message
    assert "set it, such as `HOME=/tmp lt-pipeline run`" in message


def test_use_works_where_there_is_no_file_yet(clone: Path) -> None:
    (clone / "params.yaml").unlink()
    commit(clone)
    assert run(clone, "use", "digits").code == 0


# Plan


def test_plan_writes_the_plan_and_says_what_is_to_come(clone: Path) -> None:
    (clone / items.plan_path(clone)).unlink()
    ended = run(clone, "plan")
    assert (ended.code, ended.errors) == (0, "")
    assert re.fullmatch(
        r"plan: 28 stages, 18 trainings; 18 have no result yet: about \d+ (s|min) and "
        r"\d+ MB if none is in DVC's cache\n"
        r"verdicts: none; no published claim is about this model and data\n",
        ended.output,
    )
    assert items.read(clone) is not None


def test_a_current_plan_passes_the_check_and_nothing_is_written(clone: Path) -> None:
    before = listing(clone)
    ended = run(clone, "plan", "--check")
    assert ended.code == 0
    assert ended.output.startswith("plan: 28 stages, 18 trainings")
    assert listing(clone) == before


def test_a_stale_plan_fails_the_check_and_nothing_is_written(clone: Path) -> None:
    text = (clone / "params.yaml").read_text().replace('"rounds": 2', '"rounds": 3')
    (clone / "params.yaml").write_text(text)
    message = refused(clone, "plan", "--check")
    assert message.startswith(
        "pipeline/plan.json does not fit params.yaml (11 stages missing"
    )
    assert message.endswith("; run `lt-pipeline run`")
    assert run(clone, "plan").code == 0
    assert run(clone, "plan", "--check").code == 0


@pytest.mark.parametrize("command", ["plan", "status", "verify", "export", "plot", "track"])
def test_wrong_settings_stop_every_command_before_it_writes(
    command: str, clone: Path
) -> None:
    value = str(edited()["rounds"])
    text = (clone / "params.yaml").read_text()
    (clone / "params.yaml").write_text(text.replace(f'"rounds": {value}', '"rounds": 0'))
    assert refused(clone, command, *ARGUMENTS.get(command, [])) == (
        "params.yaml: rounds: 0 found; give 1 to 99 pruning rounds"
    )


@pytest.mark.parametrize("command", ["status", "verify", "export", "track"])
@pytest.mark.parametrize("plan", ['{"plan": {}}', "<<<<<<< ours\n=======\n>>>>>>> theirs"])
def test_a_broken_or_conflicted_plan_stops_every_command_that_reads_results(
    command: str, plan: str, clone: Path
) -> None:
    (clone / "pipeline/plan.json").write_text(plan)
    before = listing(clone)
    message = refused(clone, command, *ARGUMENTS.get(command, []))
    assert message.startswith("pipeline/plan.json is not a plan; `lt-pipeline plan` writes")
    assert listing(clone) == before


def test_a_folder_in_place_of_the_plan_is_one_line(clone: Path) -> None:
    (clone / items.plan_path(clone)).unlink()
    (clone / items.plan_path(clone)).mkdir()
    assert refused(clone, "verify").startswith("pipeline/plan.json is not a plan; ")


def test_a_missing_params_yaml_is_one_line(clone: Path) -> None:
    (clone / "params.yaml").unlink()
    assert refused(clone, "plan") == (
        "params.yaml is missing; write one with `lt-pipeline use PRESET`"
    )


# As a module


def test_the_module_is_the_command(clone: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "pipeline.cli", "plan", "--check"],
        cwd=clone,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("plan: 28 stages")


def test_the_module_fails_with_one_line(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "pipeline.cli", "plan"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("lt-pipeline: no dvc.yaml in ")
    assert len(done.stderr.splitlines()) == 1


def test_a_preset_takes_the_place_of_a_preset(clone: Path) -> None:
    assert run(clone, "use", "digits", "--force").code == 0
    assert run(clone, "use", "mnist-lenet").code == 0
    assert presets.text_of("mnist-lenet") == (clone / params.FILE).read_text()


def test_results_can_be_looked_at_before_an_edit_is_planned(experiment_root: Path) -> None:
    text = params.FILE.read_text()
    assert text.count("rounds: 2\n") + text.count('"rounds": 2') == 1
    edited = text.replace("rounds: 2\n", "rounds: 3\n").replace(
        '"rounds": 2', '"rounds": 3'
    )
    params.FILE.write_text(edited)
    before = items.plan_path().read_bytes()
    for command in (["status"], ["export", "--round", "1", "--out", "t.safetensors"]):
        ended = run(experiment_root, *command)
        assert ended.code == 0
        assert ended.errors.startswith("pipeline/plan.json does not fit params.yaml (")
    assert items.plan_path().read_bytes() == before


def test_a_relative_store_lies_where_the_user_stands(tmp_path: Path) -> None:
    synthetic.fabricate(tmp_path, seeds=range(2), rounds=1)
    (tmp_path / "dvc.yaml").touch()
    folder = tmp_path / "some" / "where"
    folder.mkdir(parents=True)
    file = tmp_path / "some" / "x.db"
    track(tmp_path, "toy", f"sqlite:///{file}", synthetic.active(rounds=1))
    for command in (["plot", "--figure", "test_loss"], ["compare"]):
        named = [*command, "--experiment", "toy", "--uri"]
        assert run(folder, *named, "sqlite:///../x.db").code == 0
        assert refused(folder, *named, "sqlite:///x.db") == (
            f"there is no tracked result yet: {folder / 'x.db'} does not exist; name a "
            "store that is there as --uri"
        )
    assert (folder / "figures/test_loss.png").exists()
