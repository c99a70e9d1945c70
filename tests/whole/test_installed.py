"""The package from its wheel runs an experiment in a user's own repository."""

import shutil
import sys
import sysconfig
from pathlib import Path

import pytest
from helpers.workspace import ROOT, Ran, Workspace, environment
from ruamel.yaml import YAML

SOURCES = ("pipeline", "pyproject.toml", "README.md", "LICENSE")
EXAMPLE = ROOT / "examples/own-repository"
PIPELINE = ("python", "-P", "-m", "pipeline")

pytestmark = pytest.mark.slow


class Installed:
    """A user's repository, and the fresh environment in which the package is installed."""

    def __init__(self, folder: Path, home: Path) -> None:
        self.programs = folder / "venv/bin"
        self.theirs = Workspace(root=folder / "theirs", home=home)

    def run(self, *command: str) -> Ran:
        """A command in the repository that must succeed."""
        programs = f"{self.programs}:{environment(self.theirs.home)['PATH']}"
        return self.theirs.done(*command, env={"PATH": programs})

    @property
    def site(self) -> Path:
        """The folder of the packages."""
        (found,) = self.programs.parent.glob("lib/python*/site-packages")
        return found


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory, home: Path) -> Installed:
    """The wheel, built from a copy, in an environment that borrows its dependencies."""
    folder = tmp_path_factory.mktemp("installed")
    for name in SOURCES:
        if (ROOT / name).is_dir():
            ignored = shutil.ignore_patterns("__pycache__", "plan.json")
            shutil.copytree(ROOT / name, folder / "source" / name, ignore=ignored)
        else:
            shutil.copyfile(ROOT / name, folder / "source" / name)
    found = Installed(folder, home)
    builder = Workspace(root=folder, home=home)
    pip = (sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet")
    source = str(folder / "source")
    build = ("wheel", "--no-deps", "--no-build-isolation", "--no-index", source)
    builder.done(*pip, *build, "--wheel-dir", "wheels")
    (wheel,) = (folder / "wheels").glob("*.whl")
    builder.done(sys.executable, "-m", "venv", "--without-pip", "venv")
    # A path alone: what makes the tests' own package importable there is not read.
    (found.site / "borrowed.pth").write_text(f"{sysconfig.get_path('purelib')}\n")
    into = ("--python", str(found.programs / "python"))
    builder.done(*pip, *into, "install", "--no-deps", "--no-index", str(wheel))
    _copy_example(found.theirs.root)
    (found.theirs.root / "pipeline").mkdir()
    (found.theirs.root / "pipeline/__init__.py").write_text("raise SystemExit('theirs')\n")
    return found


def _copy_example(folder: Path) -> None:
    """The example, cut to one round of two steps."""
    shutil.copytree(EXAMPLE, folder, ignore=shutil.ignore_patterns("__pycache__"))
    yaml = YAML()
    settings = yaml.load((folder / "params.yaml").read_text())
    settings |= {"rounds": 1, "seeds": [0, 1], "workers": 2}
    settings["tasks"]["main"]["train"] |= {"steps": 2, "evaluate_every": 1}
    with (folder / "params.yaml").open("w") as opened:
        yaml.dump(settings, opened)


def test_the_example_of_a_repository_runs(installed: Installed) -> None:
    theirs = installed.theirs.root
    ran = installed.run("sh", "begin.sh")
    assert str(theirs / "plan.json") in ran.output
    assert "theirs" not in ran.output.splitlines()  # nothing has imported that package
    trainings = {"main-s0-1", "main-ticket-r01-s0-1", "main-reinit-r01-s0-1"}
    assert ran.trained == trainings
    assert (theirs / "mlflow.db").is_file()
    assert (theirs / "figures/test_accuracy.png").is_file()
    hashed = (theirs / "artifacts/inputs").rglob("*.txt")
    texts = [file.read_text() for file in hashed]
    assert any("  pipeline/core/" in text for text in texts)
    assert any("  mine/nets.py" in text for text in texts)
    assert installed.run("python", "-P", "-m", "dvc", "repro").executed == ("plan",)
    assert ", 0 stale (*), 0 missing (-)" in installed.run(*PIPELINE, "status").output
    ran = installed.run(*PIPELINE, "plot", "--figure", "test_accuracy", "--out", "mine")
    assert (theirs / "mine/test_accuracy.png").is_file()

    # Another version of the package makes stale what it decides.
    changed = installed.site / "pipeline/core/cuts/ranked.py"
    changed.write_text(f"{changed.read_text()}\nEDITED = True\n")
    assert (
        "pipeline/core/cuts/ranked.py changed" in installed.run(*PIPELINE, "status").output
    )
    ran = installed.run("python", "-P", "-m", "dvc", "repro")
    assert "prune@main-ticket-r01-s0-1" in ran.executed
    assert "train@main-s0-1" not in ran.executed
