"""What is left after a fault, and that the next ``dvc repro`` makes it good.

The training of the dense network, some seconds long, is hit in the middle, in a copy of
the pipeline that reports and keeps a checkpoint ten times a second.
"""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import psutil
import pytest
from helpers import workspace as workspaces
from helpers.tracked import tracked_chains
from helpers.workspace import Ran, Workspace, copy, environment

from pipeline.border import interrupts
from pipeline.config import params
from pipeline.inspect import verification
from pipeline.plan import plan_file

STEPS = 6_000
TRAIN = "train@main-s0-1"
VICTIMS = ("dvc", "stage", "worker")


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory, home: Path) -> Workspace:
    """Everything that comes before the first training is there."""
    folder = tmp_path_factory.mktemp("prepared") / "clone"
    workspace = workspaces.make(folder, home)
    workspace.replace(
        "pipeline/run/seeds_work.py", "CHECKPOINT_S = 10.0", "CHECKPOINT_S = 0.0"
    )
    often = "interval_s: float = 0.1"
    workspace.replace("pipeline/core/training/loop.py", "interval_s: float = 1.0", often)
    params = workspace.params()
    del params["variants"]["reinit"]
    params["tasks"]["main"]["train"] |= {
        "steps": STEPS,
        "evaluate_every": STEPS // 10,
        "optimizer": "adam",
        "lr": 0.001,
        "momentum": 0.0,
    }
    workspace.write_params(params | {"rounds": 1})
    workspace.plan()
    workspace.repro("init@main-s0-1")
    return workspace


@pytest.fixture(scope="module")
def undisturbed(
    prepared: Workspace, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, str]:
    """The hashes of a run that nothing happened to."""
    workspace = copy(prepared, tmp_path_factory.mktemp("undisturbed") / "clone")
    ran = workspace.repro(TRAIN)
    assert ran.trained == {"main-s0-1"}
    assert resumed(ran) == {}
    return workspace.hashes()


@pytest.fixture(autouse=True)
def _end_what_a_failed_test_left(tmp_path: Path, home: Path) -> Iterator[None]:
    """Its trainings would take the cores from all that follows."""
    yield
    for process in Workspace(root=tmp_path, home=home).processes():
        process.kill()


@pytest.mark.parametrize(
    "victim",
    # A killed dvc, and an interrupt, end the stage and its workers too.
    ["dvc", *(pytest.param(one, marks=pytest.mark.slow) for one in ("worker", "stage"))],
)
def test_a_killed_run_goes_on_to_the_same_bits(
    prepared: Workspace, undisturbed: dict[str, str], tmp_path: Path, victim: str
) -> None:
    workspace = copy(prepared, tmp_path / "clone")
    running = started(workspace)
    wait_for(lambda: len(snapshots(workspace)) == 2, running)
    find(victim, running).kill()
    assert running.wait(60) != 0
    assert not (workspace.root / "artifacts/trained").exists()
    assert "Traceback" not in output(workspace)
    if victim != "dvc":
        wait_for(lambda: workspace.processes() == [], limit_s=15)

    # After SIGKILL of dvc at once: what it left behind may still be there.
    ran = workspace.repro(TRAIN)
    assert resumed(ran).keys() == {0, 1}
    assert all(0 < step < STEPS for step in resumed(ran).values())
    assert workspace.hashes() == undisturbed
    nothing_is_left(workspace)


@pytest.mark.slow
@pytest.mark.parametrize("victim", VICTIMS)
def test_a_killed_run_leaves_no_process(
    prepared: Workspace, tmp_path: Path, victim: str
) -> None:
    workspace = copy(prepared, tmp_path / "clone")
    workspace.edit(tasks__main__train__steps=10_000_000)  # they do not just run out
    running = started(workspace)
    wait_for(lambda: len(snapshots(workspace)) == 2, running)
    find(victim, running).kill()
    running.wait(60)
    wait_for(lambda: workspace.processes() == [], limit_s=15)
    assert "Traceback" not in output(workspace)


@pytest.mark.slow
def test_a_dvc_that_dies_when_its_stage_appears_is_followed_at_once(
    prepared: Workspace, undisturbed: dict[str, str], tmp_path: Path
) -> None:
    """The stage has not even imported what it needs; the next one need not wait for it."""
    workspace = copy(prepared, tmp_path / "clone")
    running = started(workspace)
    wait_for(lambda: has_stage(running), running)
    find("dvc", running).kill()
    running.wait(60)
    ran = workspace.repro(TRAIN)
    assert resumed(ran) == {}
    assert "still works on it" not in ran.output
    assert workspace.hashes() == undisturbed
    nothing_is_left(workspace)


@pytest.mark.slow
def test_a_killed_run_in_the_background_leaves_no_process(
    prepared: Workspace, tmp_path: Path
) -> None:
    workspace = copy(prepared, tmp_path / "clone")
    workspace.edit(tasks__main__train__steps=10_000_000)
    running = started(workspace, behind=True)
    wait_for(lambda: len(snapshots(workspace)) == 2, running)
    running.kill()
    running.wait(60)
    wait_for(lambda: workspace.processes() == [], limit_s=15)


@pytest.mark.slow
def test_an_interrupt_of_our_run_is_that_line_alone(
    prepared: Workspace, tmp_path: Path
) -> None:
    workspace = copy(prepared, tmp_path / "clone")
    running = started(workspace, ("pipeline", "run"))
    wait_for(lambda: len(snapshots(workspace)) == 2, running)
    begun = len(output(workspace))
    os.killpg(running.pid, signal.SIGINT)
    assert running.wait(60) == interrupts.CODE
    lines = output(workspace)[begun:].splitlines()
    assert [line for line in lines if ", validation accuracy " not in line] == [
        interrupts.LINE
    ]
    assert len(snapshots(workspace)) == 2


def test_an_interrupted_run_says_one_line_and_goes_on(
    prepared: Workspace, undisturbed: dict[str, str], tmp_path: Path
) -> None:
    workspace = copy(prepared, tmp_path / "clone")
    running = started(workspace)
    wait_for(lambda: len(snapshots(workspace)) == 2, running)
    os.killpg(running.pid, signal.SIGINT)
    assert running.wait(60) != 0
    said = output(workspace)
    assert said.count(interrupts.LINE) == 1
    # The stage exits with 130; a shell that waits for it (dash) dies of the SIGINT itself.
    assert "exited with 130" in said or "exited with -2" in said
    assert "Traceback" not in said
    assert len(snapshots(workspace)) == 2
    wait_for(lambda: workspace.processes() == [], limit_s=15)

    ran = workspace.repro(TRAIN)
    assert resumed(ran).keys() == {0, 1}
    assert workspace.hashes() == undisturbed
    nothing_is_left(workspace)


@pytest.mark.slow
def test_a_seed_that_had_finished_is_not_trained_again(
    prepared: Workspace, undisturbed: dict[str, str], tmp_path: Path
) -> None:
    workspace = copy(prepared, tmp_path / "clone")
    params = workspace.params()
    workspace.write_params(params | {"workers": 1})
    running = started(workspace)
    finished = "*/*/s0.json"
    wait_for(lambda: any(checkpoints(workspace, finished)), running, limit_s=300)
    wait_for(lambda: len(snapshots(workspace)) == 2, running)
    find("stage", running).kill()
    running.wait(60)

    ran = workspace.repro(TRAIN)
    assert resumed(ran).keys() == {1}
    assert workspace.hashes() == undisturbed


@pytest.mark.slow
def test_two_runs_from_scratch_give_the_same_bits(
    finished: Workspace, tmp_path: Path, home: Path
) -> None:
    again = workspaces.make(tmp_path / "again", home)
    again.edit(rounds=1)
    again.repro()
    first = finished.hashes()
    later = {path for path in first if "/r02/" in path}
    assert again.hashes() == {k: v for k, v in first.items() if k not in later}


@pytest.mark.slow
def test_a_training_that_diverges_is_marked_and_the_chain_goes_on(
    tmp_path: Path, home: Path
) -> None:
    workspace = workspaces.make(tmp_path / "clone", home)
    params = workspace.params()
    params["tasks"]["main"]["train"] |= {"lr": 1e9, "weight_decay": 10.0}
    del params["variants"]["reinit"]
    workspace.write_params(params | {"rounds": 1})
    workspace.plan()
    ran = workspace.done("python", "-m", "dvc", "repro")
    assert ran.trained == {"main-s0-1", "main-ticket-r01-s0-1"}
    for path in (workspace.root / "artifacts/results").rglob("result.json"):
        seeds = json.loads(path.read_text())["seeds"]
        assert all(facts["diverged"] for facts in seeds.values())
        assert all(facts["test_loss"] is None for facts in seeds.values())
    dense = {"dense-s0": {0}, "dense-s1": {0}}
    assert tracked_chains(workspace) == dense | {"ticket-s0": {0, 1}, "ticket-s1": {0, 1}}
    workspace.done("python", "-m", "pipeline.cli", "verify")


def test_an_unreachable_tracking_server_is_a_warning(workspace: Workspace) -> None:
    nowhere = {"MLFLOW_TRACKING_URI": "http://127.0.0.1:1"}
    ran = workspace.run("python", "-m", "dvc", "repro", env=nowhere)
    assert ran.code == 0, ran.output
    assert ran.executed == ("track",)
    warnings = re.findall(r"^warning: .*127\.0\.0\.1:1.*$", ran.output, re.M)
    assert len(warnings) == 1
    assert "lt-pipeline track" in warnings[0]
    assert "Traceback" not in ran.output
    assert workspace.repro().executed == ()


@pytest.mark.slow
def test_a_deleted_store_is_rebuilt_from_the_artifacts(workspace: Workspace) -> None:
    workspace.done("python", "-m", "dvc", "repro")
    before = tracked_chains(workspace)
    assert before.keys() == {
        f"{v}-s{s}" for v in ("dense", "ticket", "reinit") for s in (0, 1)
    }
    for file in workspace.root.glob("mlflow.db*"):
        file.unlink()
    figures = dict(drawn(workspace))
    assert figures

    ran = workspace.run("python", "-m", "pipeline.cli", "plot")
    assert ran.code == 2
    assert "lt-pipeline track" in ran.output
    workspace.done("python", "-m", "pipeline.cli", "track")
    assert tracked_chains(workspace) == before
    workspace.done("python", "-m", "pipeline.cli", "plot")
    assert dict(drawn(workspace)) == figures


def test_verify_hashes_outputs_as_dvc_has_recorded_them(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And finds a bit that flipped without a new time, which `dvc status` cannot see."""
    monkeypatch.chdir(workspace.root)
    settings = params.load()
    plan = plan_file.check(settings)
    assert [f for f in verification.verify(settings, plan) if f.broken] == []
    curves = next(Path("artifacts/results").rglob("curves.parquet"))
    before, content = curves.stat(), bytearray(curves.read_bytes())
    content[len(content) // 2] ^= 1
    curves.write_bytes(content)
    os.utime(curves, ns=(before.st_atime_ns, before.st_mtime_ns))
    found = {f.subject for f in verification.verify(settings, plan) if f.broken}
    assert str(curves.parent) in found


def started(
    workspace: Workspace, command: Sequence[str] = ("dvc", "repro"), *, behind: bool = False
) -> subprocess.Popen[bytes]:
    """``dvc repro`` in a process group of its own, as a shell starts it.

    ``behind``: with ``&``, where a shell without job control has SIGINT ignored.
    """
    interrupt = "--ignore-signal=INT" if behind else "--default-signal=INT"
    with (workspace.root / ".lt-output").open("wb") as written:
        return subprocess.Popen(
            ["env", interrupt, sys.executable, "-m", *command, TRAIN],
            cwd=workspace.root,
            env=environment(workspace.home),
            stdout=written,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


def output(workspace: Workspace) -> str:
    return (workspace.root / ".lt-output").read_text()


def find(victim: str, running: subprocess.Popen[bytes]) -> psutil.Process:
    """A process of a running training stage."""
    dvc = psutil.Process(running.pid)
    if victim == "dvc":
        return dvc
    children = dvc.children(recursive=True)
    stage = next(p for p in children if "pipeline.stages.train" in p.cmdline()[2:3])
    if victim == "stage":
        return stage
    # Workers are forked from a server that the stage started.
    return next(w for server in stage.children() for w in server.children())


def has_stage(running: subprocess.Popen[bytes]) -> bool:
    try:
        find("stage", running)
    except (StopIteration, psutil.Error):
        return False
    return True


def checkpoints(workspace: Workspace, pattern: str) -> list[Path]:
    return list((workspace.root / ".lt/checkpoints").glob(pattern))


def snapshots(workspace: Workspace) -> list[Path]:
    return checkpoints(workspace, "*/*/snapshot.safetensors")


def wait_for(
    condition: Callable[[], bool],
    running: subprocess.Popen[bytes] | None = None,
    limit_s: float = 60,
) -> None:
    """Until it holds, while the process runs."""
    end = time.monotonic() + limit_s
    while not condition():
        assert time.monotonic() < end, f"it did not happen within {limit_s} s"
        assert running is None or running.poll() is None, "it ended too soon"
        time.sleep(0.01)


def resumed(ran: Ran) -> dict[int, int]:
    """Seed -> the step at which its training was taken up again."""
    found = re.findall(r"seed (\d+): goes on at step ([\d,]+)", ran.output)
    return {int(seed): int(step.replace(",", "")) for seed, step in found}


def nothing_is_left(workspace: Workspace) -> None:
    assert workspace.processes() == []
    assert checkpoints(workspace, "*") == []
    base = workspace.root / "artifacts"
    assert [path for path in base.rglob("*") if path.name.endswith(".tmp")] == []


def drawn(workspace: Workspace) -> list[tuple[str, bytes]]:
    return [(f.name, f.read_bytes()) for f in (workspace.root / "figures").iterdir()]
