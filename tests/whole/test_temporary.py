"""A temporary experiment of the real dvc, of a pipeline in a subfolder of a repository."""

import sqlite3
from pathlib import Path

import pytest
from helpers import workspace as workspaces
from helpers.workspace import Workspace

pytestmark = pytest.mark.slow  # tests of tracking and of the root hold each part


@pytest.fixture
def lottery(tmp_path: Path, home: Path) -> Workspace:
    """The small experiment in ``mono/lottery``; git and dvc are at home in ``mono``."""
    inner = workspaces.make(tmp_path / "mono/lottery", home)
    for name in (".git", ".dvc"):
        (inner.root / name).rename(tmp_path / "mono" / name)
    inner.repro("track")
    inner.commit("in a subfolder")
    return inner


def chains(file: Path, current: str) -> set[str | None]:
    """The DVC experiments of the runs of chains that are current, or not."""
    query = """select n.value from runs r
    join tags k on k.run_uuid = r.run_uuid and k.key = 'kind' and k.value = 'chain'
    join tags c on c.run_uuid = r.run_uuid and c.key = 'current' and c.value = ?
    left join tags n on n.run_uuid = r.run_uuid and n.key = 'dvc_experiment'
    where r.lifecycle_stage = 'active'"""
    with sqlite3.connect(file) as store:
        return {name for (name,) in store.execute(query, (current,))}


def test_it_stands_beside_what_is_current_in_the_store_of_its_subfolder(
    lottery: Workspace,
) -> None:
    command = ("exp", "run", "--temp", "--name", "other-lr")
    change = ("-S", "tasks.main.train.lr=0.05")
    lottery.done("python", "-m", "dvc", *command, *change)
    store = lottery.root / "mlflow.db"
    assert chains(store, "true") == {None}
    assert chains(store, "false") == {"other-lr"}
    assert not (lottery.root.parent / "mlflow.db").exists()
    figure = lottery.root / "figures/test_accuracy.csv"
    before = figure.read_bytes()
    lottery.done("python", "-m", "pipeline.cli", "plot")
    assert figure.read_bytes() == before
