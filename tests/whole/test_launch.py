"""``lt-pipeline run`` and ``exp run`` with the real dvc train nothing finished again."""

import pytest
from helpers.workspace import Workspace

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
