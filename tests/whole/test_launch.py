"""``lt-pipeline run`` and ``exp run`` with the real dvc train nothing finished again."""

import re
import subprocess
import sys
import time
from pathlib import Path

import pytest
from helpers import workspace as workspaces
from helpers.workspace import Workspace, environment

DAMAGED = ("dvc.lock", ".dvc/tmp/rwlock")


@pytest.mark.slow
def test_damaged_files_of_dvc_are_repaired_and_nothing_is_trained(
    workspace: Workspace,
) -> None:
    before = workspace.hashes()
    for name in DAMAGED:
        (workspace.root / name).write_bytes(b"")
    ran = workspace.done("python", "-m", "pipeline.cli", "run", "results")
    assert ran.output.count("repaired: ") == len(DAMAGED), ran.output
    assert ran.trained == set()
    assert workspace.hashes() == before


@pytest.mark.slow
def test_a_temporary_experiment_may_have_more_rounds(workspace: Workspace) -> None:
    before = workspace.params()
    command = ("python", "-m", "pipeline.cli", "exp", "run", "--temp", "-S", "rounds=3")
    ran = workspace.done(*command)
    assert ran.trained == {"main-ticket-r03-s0-1", "main-reinit-r03-s0-1"}
    assert workspace.params() == before
    assert workspace.done("python", "-m", "pipeline.cli", "plan", "--check").code == 0


RUN = ("python", "-m", "pipeline.cli", "run")
TRAINED = re.compile(
    r"^training \d+ of 10: (?P<name>.+ seed \d), (?P<how>.+)$", re.MULTILINE
)


@pytest.mark.slow
def test_a_run_that_is_killed_in_its_walk_goes_on_to_the_bits_of_dvc_alone(
    finished: Workspace, home: Path, tmp_path: Path
) -> None:
    workspace = workspaces.make(tmp_path / "clone", home)
    running = subprocess.Popen(
        [sys.executable, *RUN[1:]],
        cwd=workspace.root,
        env=environment(home),
        stderr=subprocess.PIPE,
        text=True,
    )
    assert running.stderr is not None
    lines = iter(running.stderr.readline, "")
    assert next(filter(TRAINED.match, lines), None)
    running.kill()
    assert running.wait() < 0
    running.stderr.close()
    while workspace.processes():
        time.sleep(0.1)
    alone = finished.hashes()
    ran = workspace.done(*RUN)
    known = {found["name"]: found["how"] for found in TRAINED.finditer(ran.output)}
    assert len(known) == 10
    assert "was kept" in known.values()
    assert "validation accuracy" not in ran.output, "a stage has trained"
    assert {n: h for n, h in workspace.hashes().items() if n != "tracked.txt"} == alone
    again = workspace.done(*RUN)
    assert (again.executed, TRAINED.findall(again.output)) == ((), [])
