"""Experiments of DVC that run side by side share the cores."""

import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.run.executors import cores


def test_alone_all_cores_are_taken(tmp_path: Path) -> None:
    assert cores.experiments_beside(tmp_path) == 1


@pytest.mark.parametrize("folders", [("tmpa", "tmpb"), ("standalone/tmpa", "tmpb/papers")])
def test_each_of_two_experiments_takes_half(
    folders: tuple[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine, other = (tmp_path / ".dvc/tmp/exps" / name for name in folders)
    for folder in (mine, other):
        folder.mkdir(parents=True)
    wait = [sys.executable, "-c", "print(flush=True); input()"]
    with subprocess.Popen(
        wait, cwd=other, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as beside:
        assert beside.stdout is not None
        beside.stdout.readline()
        assert cores.experiments_beside(mine) == 2
        monkeypatch.chdir(mine)
        monkeypatch.setattr(cores.os, "sched_getaffinity", lambda _: set(range(5)))
        assert cores.available_cores() == 2
        beside.communicate(b"\n")
    assert cores.experiments_beside(mine) == 1
