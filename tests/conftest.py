"""Settings for every test, and the small experiment that the real dvc runs."""

import os
import shutil
from pathlib import Path

import pytest
from helpers import workspace as workspaces
from helpers.workspace import Workspace
from hypothesis import HealthCheck, settings

# Tests run side by side, and threads that wait for each other take each other's cores.
os.environ.setdefault("OMP_NUM_THREADS", "1")

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
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What git, dvc and matplotlib take for the user's home."""
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory, home: Path) -> Workspace:
    """The small experiment, run once and committed. Tests work in copies of it."""
    workspace = workspaces.make(tmp_path_factory.mktemp("finished") / "clone", home)
    workspace.repro()
    workspace.commit("its results")
    return workspace


@pytest.fixture
def workspace(finished: Workspace, tmp_path: Path) -> Workspace:
    """A copy of the finished experiment for one test."""
    return workspaces.copy(finished, tmp_path / "clone")


@pytest.fixture(scope="session")
def stages_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The experiment of ``experiment.py``, run once by calling the stages; read only."""
    from helpers import experiment, standings

    root = experiment.finish(tmp_path_factory.mktemp("stages") / "root")
    standings.record(root)
    return root


@pytest.fixture
def experiment_root(
    stages_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Path:
    """A copy of it for one test, which is also the working directory."""
    root = tmp_path / "root"
    shutil.copytree(stages_run, root, symlinks=True)
    monkeypatch.chdir(root)
    return root
