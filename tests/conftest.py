"""Settings for every test, and the small experiment that the real dvc runs."""

import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from filelock import FileLock
from helpers import workspace as workspaces
from helpers.workspace import Workspace
from hypothesis import HealthCheck, settings

# Tests run side by side, and threads that wait for each other take each other's cores.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# Tests start hundreds of processes. Without compiled files each compiles the package anew,
# which takes half a second.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False

# No deadline: the machine may be busy. Derandomised: the same bits for everybody.
settings.register_profile(
    "here",
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("here")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put files that run the real dvc first, because they take longest.

    Under ``-n`` a file is one worker's, so that its fixtures are made once.
    """
    real = {item.path for item in items if "home" in fixtures_of(item)}
    items.sort(key=lambda item: item.path not in real)


def fixtures_of(item: pytest.Item) -> list[str]:
    """Names of the fixtures that a test uses, directly or not."""
    return item.fixturenames if isinstance(item, pytest.Function) else []


@pytest.fixture(scope="session")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of this test run, the same for all of its workers."""
    base = tmp_path_factory.getbasetemp()
    return base.parent if "PYTEST_XDIST_WORKER" in os.environ else base


def made_once(folder: Path, make: Callable[[Path], object]) -> Path:
    """Let the first worker that needs a folder make it; the others wait for it."""
    done = folder.with_name(f"{folder.name}.made")
    with FileLock(folder.with_name(f"{folder.name}.lock")):
        if not done.exists():
            shutil.rmtree(folder, ignore_errors=True)
            make(folder)
            done.touch()
    return folder


@pytest.fixture(scope="session")
def home(shared: Path) -> Path:
    """What git, dvc and matplotlib take for the user's home."""
    return made_once(shared / "home", Path.mkdir)


@pytest.fixture(scope="session")
def finished(shared: Path, home: Path) -> Workspace:
    """The small experiment, run once and committed. Tests work in copies of it."""

    def make(root: Path) -> None:
        workspace = workspaces.make(root, home)
        workspace.repro()
        workspace.commit("its results")

    return Workspace(root=made_once(shared / "finished", make), home=home)


@pytest.fixture
def workspace(finished: Workspace, tmp_path: Path) -> Workspace:
    """A copy of the finished experiment for one test."""
    return workspaces.copy(finished, tmp_path / "clone")


@pytest.fixture(scope="session")
def stages_run(shared: Path) -> Path:
    """The experiment of ``experiment.py``, run once by calling the stages; read only."""
    from helpers import experiment, standings

    return made_once(
        shared / "stages", lambda root: standings.record(experiment.finish(root))
    )


@pytest.fixture
def experiment_root(
    stages_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Path:
    """A copy of it for one test, which is also the working directory."""
    root = tmp_path / "root"
    shutil.copytree(stages_run, root, symlinks=True)
    monkeypatch.chdir(root)
    return root
