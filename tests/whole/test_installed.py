"""The package from its wheel runs an experiment in a user's own repository."""

import shutil
import sys
from pathlib import Path

import pytest
from helpers.workspace import PARAMS, ROOT, Ran, Workspace

SOURCES = ("pipeline", "pyproject.toml", "README.md", "LICENSE")
SMALL = PARAMS.replace("rounds: 2", "rounds: 1").replace("steps: 4", "steps: 2")
PIPELINE = ("python", "-P", "-m", "pipeline")

pytestmark = pytest.mark.slow


class Installed:
    """A user's repository, and the folder in which the package is installed."""

    def __init__(self, folder: Path, home: Path) -> None:
        self.site = folder / "site"
        self.theirs = Workspace(root=folder / "theirs", home=home)

    def run(self, *command: str) -> Ran:
        """A command in the repository that must succeed."""
        return self.theirs.done(*command, env={"PYTHONPATH": str(self.site)})


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory, home: Path) -> Installed:
    """The wheel, built from a copy and installed without its dependencies."""
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
    install = ("install", "--no-deps", "--no-index", "--target", str(found.site))
    builder.done(*pip, *install, str(wheel))
    found.theirs.root.mkdir()
    (found.theirs.root / "pipeline").mkdir()
    (found.theirs.root / "pipeline/__init__.py").write_text("raise SystemExit('theirs')\n")
    found.theirs.done("git", "init", "--quiet")
    return found


def test_an_experiment_runs_in_an_empty_repository(installed: Installed) -> None:
    theirs = installed.theirs.root
    ran = installed.run(*PIPELINE, "init")
    assert str(theirs / "plan.json") in ran.output
    (theirs / "params.yaml").write_text(SMALL)
    ran = installed.run(*PIPELINE, "run")
    trainings = {"main-s0-1", "main-ticket-r01-s0-1", "main-reinit-r01-s0-1"}
    assert ran.trained == trainings
    assert (theirs / "mlflow.db").is_file()
    assert (theirs / "figures/test_accuracy.png").is_file()
    hashed = (theirs / "artifacts/inputs").rglob("*.txt")
    assert any("  pipeline/core/" in file.read_text() for file in hashed)
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
