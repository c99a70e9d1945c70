"""``lt-pipeline exp run`` plans what ``-S`` asks for, and gives the workspace back."""

import errno
import signal
import subprocess
from pathlib import Path

import dvc.utils.hydra
import pytest
from helpers.command import refused, run
from helpers.experiment import write

from pipeline.config import params
from pipeline.launch import experiments, repair
from pipeline.plan import items, plan_file


@pytest.fixture
def started(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[tuple[list[str], int]]:
    """What dvc was started with, and for how many rounds the plan was then."""
    found: list[tuple[list[str], int]] = []

    def start(command: list[str], **_: object) -> subprocess.CompletedProcess[bytes]:
        settings = params.load(tmp_path)
        plan_file.check(settings, tmp_path)
        found.append((command[3:], settings.rounds))
        return subprocess.CompletedProcess(command, 0)

    write(tmp_path)
    monkeypatch.setattr(experiments.subprocess, "run", start)  # type: ignore[attr-defined]
    return found


def test_rounds_and_seeds_and_a_variant_are_planned_first(
    tmp_path: Path, started: list[tuple[list[str], int]]
) -> None:
    variant = "+variants.other=${variants.ticket}"
    options = ("-S", "rounds=4", "-S", "seeds=[0,1,2]", "-S", variant, "-n", "name")
    assert run(tmp_path, "exp", "run", *options).code == 0
    assert started == [(["exp", "run", "-n", "name"], 4)]
    settings = params.load(tmp_path)
    assert (settings.rounds, settings.seeds) == (4, (0, 1, 2))
    assert "other" in settings.variants


@pytest.mark.parametrize(("going", "is_there"), [("", False), ("a run is going on", True)])
def test_a_damaged_lock_is_deleted_and_said_unless_a_run_is_going_on(
    tmp_path: Path,
    started: list[tuple[list[str], int]],
    monkeypatch: pytest.MonkeyPatch,
    going: str,
    is_there: bool,  # noqa: FBT001
) -> None:
    lock = tmp_path / repair.RWLOCK
    lock.parent.mkdir(parents=True)
    lock.touch()
    monkeypatch.setattr(repair, "going_on", lambda _: going)
    ended = run(tmp_path, "exp", "run", "-S", "rounds=4")
    assert ended.errors.startswith("repaired: ") is not is_there
    assert lock.exists() is is_there
    assert len(started) == 1


def test_ctrl_c_is_left_to_dvc(
    tmp_path: Path,
    started: list[tuple[list[str], int]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Python would kill it a quarter of a second later."""
    start = experiments.subprocess.run  # type: ignore[attr-defined]

    def interrupted(command: list[str], **given: object) -> object:
        signal.raise_signal(signal.SIGINT)
        return start(command, **given)

    monkeypatch.setattr(experiments.subprocess, "run", interrupted)  # type: ignore[attr-defined]
    before = signal.getsignal(signal.SIGINT)
    assert run(tmp_path, "exp", "run", "-S", "rounds=4").code == 0
    assert len(started) == 1
    assert signal.getsignal(signal.SIGINT) == before


@pytest.mark.parametrize("where", ["--temp", "--queue"])
def test_an_experiment_elsewhere_leaves_the_workspace_as_it_was(
    where: str, tmp_path: Path, started: list[tuple[list[str], int]]
) -> None:
    files = tmp_path / "params.yaml", tmp_path / items.plan_path(tmp_path)
    before = [file.read_bytes() for file in files]
    assert run(tmp_path, "exp", "run", where, "-S", "rounds=4").code == 0
    assert started == [(["exp", "run", where], 4)]
    assert [file.read_bytes() for file in files] == before


def test_a_sweep_is_queued_one_by_one(
    tmp_path: Path, started: list[tuple[list[str], int]]
) -> None:
    assert run(tmp_path, "exp", "run", "--queue", "-S", "rounds=choice(1,3)").code == 0
    assert [rounds for _, rounds in started] == [1, 3]


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("rounds=0", "params.yaml: rounds: 0 found"),
        ("ruonds=3", "-S ruonds=3: "),
        ("rounds=choice(1,2)", "-S asks for 2 experiments; give --queue"),
        ("rounds=[1", "-S: "),
        ("other.yaml:a=1", "-S: other.yaml is no file of settings"),
    ],
)
def test_a_wrong_override_starts_nothing_and_changes_nothing(
    override: str, said: str, tmp_path: Path, started: list[tuple[list[str], int]]
) -> None:
    before = (tmp_path / "params.yaml").read_bytes()
    ended = run(tmp_path, "exp", "run", "-S", override)
    assert ended.code == 2
    assert ended.errors.startswith(f"lt-pipeline: {said}")
    assert (tmp_path / "params.yaml").read_bytes() == before
    assert started == []


def test_a_disk_that_is_full_costs_no_settings(
    tmp_path: Path, started: list[tuple[list[str], int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    files = tmp_path / "params.yaml", tmp_path / items.plan_path(tmp_path)
    before = [file.read_bytes() for file in files]

    def cut(path: Path, _: object) -> None:
        path.write_bytes(b"")  # as a writer leaves it that begins anew
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(dvc.utils.hydra, "apply_overrides", cut)
    ended = run(tmp_path, "exp", "run", "-S", "rounds=4")
    assert ended.code == 2
    assert ended.errors.startswith("lt-pipeline: No space left on device; free some")
    assert [file.read_bytes() for file in files] == before
    assert started == []


def test_outside_of_an_experiment_it_is_refused(tmp_path: Path) -> None:
    assert refused(tmp_path, "exp", "run").startswith("no dvc.yaml in ")
