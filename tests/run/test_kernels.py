"""Kernels are compiled before trainings, side by side, and only those that a plan needs."""

import os
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from helpers import experiment
from helpers.fully_connected import make_job
from helpers.works import Compiles

from pipeline import engines
from pipeline.border import locks
from pipeline.core.training.engine import Job
from pipeline.engines.shared.compilation import account
from pipeline.plan import compiler, trained
from pipeline.plan.current import Standing
from pipeline.run import checkpoints, kept, kernels, seeds_work
from pipeline.run.executors import processes
from pipeline.run.kernels import LOOK, STEP, CompileWork, Need
from pipeline.run.seeds_work import SeedsWork
from pipeline.run.sources import Source

ALL_DONE = Standing(stale=frozenset(), missing=frozenset(), reasons=(), recorded={})


def plan_of(**changes: object) -> tuple[Any, Any]:
    found = experiment.settings(tasks__main__train__engine="auto", **changes)
    return found, compiler.compile_plan(found, [experiment.SEEDS])


def missing(plan: Any) -> Standing:  # noqa: ANN401
    stages = frozenset(trained.by_stage(experiment.settings(), plan))
    return replace(ALL_DONE, missing=stages)


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("LT_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "kernels"


@pytest.fixture
def needs() -> list[Need]:
    task = experiment.settings().tasks["main"]
    names = ("dense", "sparse")
    return [Need(engine=name, task=task, densities=(0.5,)) for name in names]


def compiled(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str]]:
    """What is compiled from now on, of which nothing really is."""
    found: list[tuple[str, str]] = []

    def run_all(works: Sequence[CompileWork], **given: Any) -> None:  # noqa: ANN401
        for work in works:
            found.append((work.need.engine, work.part))
            given["watch"](processes.Notice(kernels.COMPILING))

    monkeypatch.setattr(processes, "run_all", run_all)
    return found


def test_a_plan_needs_its_compiled_engines_from_the_densest_to_the_sparsest_round() -> None:
    settings, plan = plan_of()
    found = {need.engine: need.densities for need in kernels.needs_of(settings, plan)}
    densities = [one.density for one in trained.by_stage(settings, plan).values()]
    assert found["dense"][-1] == 1
    assert found["sparse"][0] == min(densities)
    assert 0 < found["sparse"][0] <= found["sparse"][-1] < 1
    assert set(found) == {"dense", "sparse"}


def test_a_plan_without_compiled_engines_needs_nothing() -> None:
    settings = experiment.settings(tasks__main__train__engine="reference")
    plan = compiler.compile_plan(settings, [experiment.SEEDS])
    assert kernels.needs_of(settings, plan) == []


def test_kernels_are_compiled_once_updates_first(
    cache: Path, needs: list[Need], monkeypatch: pytest.MonkeyPatch
) -> None:
    found, said = compiled(monkeypatch), []
    for _ in range(2):
        kernels.make_ready(needs, at_once=2, say=said.append)
    assert found == [(engine, p) for p in (STEP, LOOK) for engine in ("dense", "sparse")]
    assert said == [kernels.COMPILING, "kernels are compiled after 0 s"]
    assert cache.exists()


@pytest.mark.parametrize("change", ["batch_size", "engine", "versions"])
def test_other_kernels_are_compiled_again(
    cache: Path, needs: list[Need], monkeypatch: pytest.MonkeyPatch, change: str
) -> None:
    found = compiled(monkeypatch)
    one, other = needs
    kernels.make_ready([one], at_once=2)
    if change == "batch_size":
        train = replace(one.task.train, batch_size=77)
        other = replace(one, task=replace(one.task, train=train))
    elif change == "versions":
        monkeypatch.setattr(kernels, "_versions", lambda: ("another",))
        other = one
    kernels.make_ready([other], at_once=2)
    assert len(found) == 4


def test_one_process_compiles_and_the_others_wait_for_it(
    cache: Path, needs: list[Need], monkeypatch: pytest.MonkeyPatch
) -> None:
    found, said = compiled(monkeypatch), []
    cache.mkdir(parents=True)
    with (cache / "compiling.lock").open("w") as opened:
        locks.lock(opened, wait=False)

        def end() -> None:
            for one in needs:
                (cache / f"{one.note}.ready").touch()
            locks.unlock(opened)

        timer = threading.Timer(0.2, end)
        timer.start()
        kernels.make_ready(needs, at_once=2, say=said.append)
        timer.join()
    assert found == []
    assert said[0] == kernels.COMPILING


def test_nothing_is_compiled_ahead_where_nothing_can_be_kept(
    tmp_path: Path, needs: list[Need], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("LT_CACHE", str(tmp_path / "file" / "folder"))
    found = compiled(monkeypatch)
    kernels.make_ready(needs, at_once=2)
    assert found == []


def test_an_engine_that_does_not_compile_is_left_to_its_trial(
    cache: Path, needs: list[Need], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise TypeError("njit() got an unexpected keyword")

    monkeypatch.setattr(engines, "make_engine", fail)
    for part in (STEP, LOOK):
        CompileWork(need=needs[0], part=part).run(lambda _: None, lambda: False)

    def crash(*_: object, **__: object) -> None:
        raise processes.CrashError("SIGILL")

    monkeypatch.setattr(processes, "run_all", crash)
    kernels.make_ready(needs, at_once=2)


@pytest.mark.parametrize(("part", "calls"), [(STEP, 1), (LOOK, 2)])
def test_the_parts_together_use_an_engine_as_a_training_does(
    needs: list[Need], monkeypatch: pytest.MonkeyPatch, part: str, calls: int
) -> None:
    done: list[object] = []

    class Engine:
        def advance(self, num_steps: int) -> None:
            done.append(num_steps)

        def evaluate(self, split: str) -> None:
            done.append(split)

    def make(_: str, jobs: Sequence[Job]) -> Engine:
        (job,) = jobs
        known = needs[0].task.dataset
        assert len(job.data.test) == known.num_test
        assert job.data.train.images.shape[1:] == known.description.images.shape
        return Engine()

    monkeypatch.setattr(engines, "make_engine", make)
    CompileWork(need=needs[0], part=part).run(lambda _: None, lambda: False)
    assert len(done) == calls


@pytest.mark.parametrize("density", [1.0, 0.1])
@pytest.mark.parametrize("engine", ["dense", "sparse"])
def test_the_example_can_be_trained(engine: str, density: float) -> None:
    made = engines.make_engine(
        engine, [kernels.example(experiment.settings().tasks["main"], density)]
    )
    made.advance(1)
    assert made.evaluate("validation")[0].loss > 0


def test_ctrl_c_ends_a_compiler_at_once() -> None:
    def interrupt(_: object) -> None:
        raise KeyboardInterrupt

    before = os.times().elapsed
    with pytest.raises(KeyboardInterrupt):
        processes.run_all([Compiles()], at_once=1, preload="helpers.works", watch=interrupt)
    assert os.times().elapsed - before < 30  # of 60


def test_the_compiler_of_a_plan_ends_with_its_dvc() -> None:
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    code = f"from pipeline.run import kernels; kernels._end_with({gone.pid})"
    ended = subprocess.run([sys.executable, "-c", code], check=False, timeout=60)
    assert ended.returncode == 1


@pytest.mark.parametrize(
    ("dvc", "found", "ready", "starts"),
    [
        (1, missing, False, True),
        (None, missing, False, False),  # a stage by hand
        (1, lambda _: ALL_DONE, False, False),
        (1, missing, True, False),
    ],
)
def test_it_starts_where_trainings_to_come_lack_kernels(
    cache: Path,
    monkeypatch: pytest.MonkeyPatch,
    dvc: int | None,
    found: Callable[[Any], Standing],
    ready: bool,  # noqa: FBT001
    starts: bool,  # noqa: FBT001
) -> None:
    started: list[list[str]] = []
    monkeypatch.setattr(subprocess, "Popen", lambda words, **_: started.append(words))
    settings, plan = plan_of()
    if ready:
        compiled(monkeypatch)
        kernels.make_ready(kernels.needs_of(settings, plan), at_once=1)
    kernels.start(settings, plan, found(plan), dvc)
    assert bool(started) == starts
    assert cache.exists() or dvc is None or found(plan) is ALL_DONE


def test_the_compiler_does_not_look_for_the_package_in_a_repository_of_the_user_s(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[list[str]] = []
    monkeypatch.setattr(subprocess, "Popen", lambda words, **_: started.append(words))
    monkeypatch.chdir(tmp_path)
    settings, plan = plan_of()
    kernels.start(settings, plan, missing(plan), 1)
    assert started[0][1:4] == ["-P", "-m", "pipeline.run.kernels"]


def test_the_clock_of_a_training_stands_still_while_kernels_are_compiled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(account, "seconds", 0.0)
    job = make_job(steps=2, evaluate_every=1)
    make = engines.make_engine

    def slow(name: str, jobs: Sequence[Job]) -> Any:  # noqa: ANN401
        with account.counted():
            account.compiling()
        account.seconds += 1000  # as if it had taken so long
        return make(name, jobs)

    monkeypatch.setattr(engines, "make_engine", slow)
    source = Source(
        label="main/dense",
        seeds=(0,),
        task=experiment.settings().tasks["main"],
        data=tmp_path / "data",
        engine="reference",
        metric="at-end",
        starts=tmp_path,
        masks=None,
        round=0,
    )
    said: list[object] = []
    work = SeedsWork(source=source, copy=0, seeds=(0,), kept=kept.asked())
    folder = checkpoints.folder_of(source.key, "s0", "digest")
    with account.watched(lambda: seeds_work._told(said.append, lambda: False)):
        named = seeds_work.Named(
            folder=folder, seeds=(0,), name="digest", numerics="here", kept=kept.asked()
        )
        work._train([job], named, said.append, lambda: False)
    assert said[0] == processes.Notice(kernels.COMPILING)
    left = checkpoints.finished(folder, 0)
    assert left is not None
    assert left["timing"]["seconds"] < -900
