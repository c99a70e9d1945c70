"""``lt-pipeline exp run`` plans what ``-S`` asks for, and gives the workspace back."""

import errno
import os
import signal
import subprocess
from collections.abc import Callable
from functools import partial
from pathlib import Path

import dvc.utils.hydra
import pytest
from helpers.command import Ended, refused, run
from helpers.experiment import write

from pipeline.config import params
from pipeline.launch import experiments, lending, repair
from pipeline.plan import items, plan_file


class Dvc:
    """A process in which things happen, one between two looks."""

    pid = os.getpid()

    def __init__(self, during: list[Callable[[], None]]) -> None:
        self._during = during

    def wait(self, timeout: float | None = None) -> int:
        if self._during:
            self._during.pop(0)()
            if timeout is not None:
                raise subprocess.TimeoutExpired("dvc", timeout)
        return 0


@pytest.fixture
def during() -> list[Callable[[], None]]:
    """What happens while dvc runs; nothing unless a test says so."""
    return []


@pytest.fixture
def started(
    tmp_path: Path, during: list[Callable[[], None]], monkeypatch: pytest.MonkeyPatch
) -> list[tuple[list[str], int]]:
    """What dvc was started with, and for how many rounds the plan was then."""
    found: list[tuple[list[str], int]] = []

    def start(command: list[str], **_: object) -> Dvc:
        settings = params.load(tmp_path)
        plan_file.check(settings, tmp_path)
        found.append((command[3:], settings.rounds))
        return Dvc(during)

    write(tmp_path)
    monkeypatch.setattr(experiments.subprocess, "Popen", start)  # type: ignore[attr-defined]
    monkeypatch.setattr(repair, "going_on", lambda *_, **__: "")
    return found


def settings_of(root: Path) -> tuple[bytes, bytes]:
    """The bytes of params.yaml and of the plan."""
    return (root / params.FILE).read_bytes(), (root / items.plan_path(root)).read_bytes()


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


def test_a_damaged_lock_is_deleted_and_said(
    tmp_path: Path, started: list[tuple[list[str], int]]
) -> None:
    lock = tmp_path / repair.RWLOCK
    lock.parent.mkdir(parents=True)
    lock.touch()
    ended = run(tmp_path, "exp", "run", "-S", "rounds=4")
    assert ended.errors.startswith("repaired: ")
    assert not lock.exists()
    assert len(started) == 1


def test_it_is_refused_while_a_run_works_in_the_workspace(
    tmp_path: Path,
    started: list[tuple[list[str], int]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A stage of that run would train with the override, and its result count as fresh."""
    monkeypatch.setattr(repair, "going_on", lambda *_, **__: "a run is going on: dvc")
    assert refused(tmp_path, "exp", "run", "--temp", "-S", "rounds=4") == (
        "a run is going on: dvc; wait for its end, or stop it with Ctrl-C there"
    )
    assert started == []


def test_ctrl_c_is_left_to_dvc(
    tmp_path: Path,
    started: list[tuple[list[str], int]],
    during: list[Callable[[], None]],
) -> None:
    """Python would kill it a quarter of a second later."""
    during.append(lambda: signal.raise_signal(signal.SIGINT))
    before = signal.getsignal(signal.SIGINT)
    assert run(tmp_path, "exp", "run", "-S", "rounds=4").code == 0
    assert len(started) == 1
    assert signal.getsignal(signal.SIGINT) == before


@pytest.mark.parametrize("where", ["--temp", "--queue"])
def test_an_experiment_elsewhere_leaves_the_workspace_as_it_was(
    where: str, tmp_path: Path, started: list[tuple[list[str], int]]
) -> None:
    before = settings_of(tmp_path)
    assert run(tmp_path, "exp", "run", where, "-S", "rounds=4").code == 0
    assert started == [(["exp", "run", where], 4)]
    assert settings_of(tmp_path) == before


def test_the_workspace_has_its_settings_again_once_dvc_has_its_copy(
    tmp_path: Path,
    started: list[tuple[list[str], int]],
    during: list[Callable[[], None]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    before = settings_of(tmp_path)
    now = [*before]
    during.append(lambda: now.__setitem__(slice(None), settings_of(tmp_path)))
    monkeypatch.setattr(experiments, "_works_in", lambda *_: False)
    assert run(tmp_path, "exp", "run", "--temp", "-S", "rounds=4").code == 0
    assert tuple(now) == before
    assert len(started) == 1


def test_a_second_one_is_refused_while_the_first_has_changed_the_settings(
    tmp_path: Path,
    started: list[tuple[list[str], int]],
    during: list[Callable[[], None]],
) -> None:
    second: list[Ended] = []
    for command in (("exp", "run", "--temp", "-S", "tasks.main.train.lr=0.5"), ("run",)):
        during.append(partial(lambda one: second.append(run(tmp_path, *one)), command))
    assert run(tmp_path, "exp", "run", "--temp", "-S", "rounds=4").code == 0
    assert len(started) == 1
    for ended in second:
        assert (ended.code, ended.output) == (2, "")
        assert "params.yaml has the settings of an experiment that begins" in ended.errors
        assert f"(process {os.getpid()})" in ended.errors


def test_an_edit_meanwhile_stays_and_is_said(
    tmp_path: Path,
    started: list[tuple[list[str], int]],
    during: list[Callable[[], None]],
) -> None:
    before, _ = settings_of(tmp_path)
    during.append(lambda: write(tmp_path, tasks__main__train__lr=0.7))
    ended = run(tmp_path, "exp", "run", "--temp", "-S", "rounds=4")
    assert ended.errors.startswith("params.yaml was edited while an experiment had ")
    assert params.load(tmp_path).tasks["main"].train.lr == 0.7
    assert (tmp_path / lending.EARLIER).read_bytes() == before
    assert len(started) == 1


@pytest.mark.parametrize("command", [("exp", "run", "--queue"), ("run", "--on", "none")])
def test_what_a_killed_one_had_changed_is_given_back_by_the_next_command(
    command: tuple[str, ...], tmp_path: Path, started: list[tuple[list[str], int]]
) -> None:
    before = settings_of(tmp_path)
    with lending.lent(tmp_path) as killed:
        killed.change(partial(experiments._apply, {"params.yaml": ["rounds=4"]}))
        assert settings_of(tmp_path) != before
    assert "repaired: params.yaml is as it was" in run(tmp_path, *command).errors
    assert settings_of(tmp_path) == before
    assert "repaired" not in run(tmp_path, *command).errors


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
    before = settings_of(tmp_path)

    def cut(path: Path, _: object) -> None:
        path.write_bytes(b"")  # as a writer leaves it that begins anew
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(dvc.utils.hydra, "apply_overrides", cut)
    ended = run(tmp_path, "exp", "run", "-S", "rounds=4")
    assert ended.code == 2
    assert ended.errors.startswith("lt-pipeline: No space left on device; free some")
    assert settings_of(tmp_path) == before
    assert started == []


def test_outside_of_an_experiment_it_is_refused(tmp_path: Path) -> None:
    assert refused(tmp_path, "exp", "run").startswith("no dvc.yaml in ")
