"""A compiled engine that does not work on this machine is set aside, with a line."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers.experiment import settings
from helpers.fully_connected import make_job

from pipeline import engines
from pipeline.core.models.layers import BatchNorm, Conv, Residual
from pipeline.core.training.engine import Job
from pipeline.core.training.settings import Schedule
from pipeline.run import trials
from pipeline.run.executors import processes
from pipeline.run.sources import Source

JOB = make_job()
KIND = trials.Kind(
    engine="sparse", network=JOB.network, optimizer="adam", batch_size=20, augment="none"
)
VERSIONS = {"numba": "1"}


class Off:
    """An engine whose weights or loss are off by a factor."""

    def __init__(self, engine: Any, *, weights: float, loss: float) -> None:  # noqa: ANN401
        self._engine, self._weights, self._loss = engine, weights, loss

    def advance(self, num_steps: int) -> None:
        self._engine.advance(num_steps)

    def weights(self) -> list[Any]:
        (found,) = self._engine.weights()
        return [{name: self._weights * array for name, array in found.items()}]

    def evaluate(self, split: str) -> list[Any]:
        (found,) = self._engine.evaluate(split)
        return [replace(found, loss=self._loss * found.loss)]


class Still(Off):
    """An engine whose steps change nothing."""

    def advance(self, num_steps: int) -> None:
        pass


def broken(
    monkeypatch: pytest.MonkeyPatch, how: Callable[[Any], Any], name: str = "sparse"
) -> None:
    """Let one engine be what ``how`` makes of it."""
    make = engines.make_engine

    def made(engine: str, jobs: Sequence[Job]) -> Any:  # noqa: ANN401
        found = make(engine, jobs)
        return how(found) if engine == name else found

    monkeypatch.setattr(engines, "make_engine", made)


def raising(error: Exception) -> Callable[[object], object]:
    def how(_: object) -> object:
        raise error

    return how


@pytest.mark.parametrize("engine", ["dense", "sparse", "reference"])
def test_an_engine_that_works_does_not_differ(engine: str) -> None:
    assert trials.difference(engine, JOB) == ""


@pytest.mark.parametrize(
    ("weights", "loss", "reason"),
    [
        (1.5, 1.0, "its first step is "),
        (float("nan"), 1.0, "its first step is nan % off the reference's"),
        (1.0, 1.1, "its loss is "),
        (1.0, float("nan"), "its loss is nan where the reference's is "),
    ],
)
def test_a_first_step_that_differs_is_said(
    monkeypatch: pytest.MonkeyPatch, weights: float, loss: float, reason: str
) -> None:
    broken(monkeypatch, lambda engine: Off(engine, weights=weights, loss=loss))
    assert trials.difference("sparse", JOB).startswith(reason)


def test_a_warm_up_hides_no_difference(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = replace(JOB.settings, schedule=Schedule(warmup_steps=5))
    broken(monkeypatch, lambda engine: Still(engine, weights=1.0, loss=1.0))
    reason = trials.difference("sparse", replace(JOB, settings=settings))
    assert reason == "its first step is 100 % off the reference's"


def test_the_start_of_the_trainings_does_not_matter() -> None:
    """Equal weights put units at the kink of ReLU, where rounding decides."""
    start = {name: np.full_like(weights, np.nan) for name, weights in JOB.start.items()}
    assert trials.difference("sparse", replace(JOB, start=start)) == ""


def test_an_engine_that_does_not_compile_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    broken(
        monkeypatch, raising(TypeError("\x1b[1mnjit() got an unexpected\nkeyword '_nrt'"))
    )
    reason = trials.difference("sparse", JOB)
    assert reason == "TypeError: njit() got an unexpected keyword '_nrt'"


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), MemoryError()])
def test_what_the_machine_refuses_says_nothing_of_the_engine(
    monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    broken(monkeypatch, raising(error))
    with pytest.raises(type(error)):
        trials.difference("sparse", JOB)


@pytest.mark.parametrize(
    ("name", "changes_mask", "others"),
    [
        ("sparse", False, ["dense", "reference"]),
        ("sparse", True, ["reference"]),  # dense takes no weights back in
        ("dense", True, ["reference"]),
        ("reference", False, []),
    ],
)
def test_the_next_engines_are_plainer_and_can_do_the_same(
    name: str,
    changes_mask: bool,  # noqa: FBT001
    others: list[str],
) -> None:
    assert trials.plainer(name, JOB.network, changes_mask=changes_mask) == others


def choose(setting: str, *refused: str) -> tuple[str, list[str]]:
    return trials.choose(
        setting,
        KIND,
        lambda kind: "it is wrong" if kind.engine in refused else "",
        changes_mask=False,
    )


def test_auto_takes_the_next_engine_with_a_line_for_each_that_is_set_aside() -> None:
    assert choose("auto") == ("sparse", [])
    line = "engine {} does not work on this machine (it is wrong); {} trains instead"
    assert choose("auto", "sparse") == ("dense", [line.format("sparse", "dense")])
    lines = [line.format(name, "reference") for name in ("sparse", "dense")]
    assert choose("auto", "sparse", "dense") == ("reference", lines)


def test_an_engine_that_the_settings_name_is_refused() -> None:
    assert choose("sparse") == ("sparse", [])
    with pytest.raises(trials.EngineError) as caught:
        choose("sparse", "sparse")
    assert str(caught.value) == (
        "engine sparse does not work on this machine (it is wrong); give train.engine: auto"
    )


@pytest.mark.parametrize("content", ["", "[]", "{}", None])
def test_a_damaged_result_of_a_trial_is_a_missing_one(
    tmp_path: Path, content: str | None
) -> None:
    file = tmp_path / "kept" / "sparse.json"
    trials.keep(file, "it is wrong")
    assert trials.kept(file) == "it is wrong"
    file.unlink()
    if content is not None:
        file.write_text(content)
    assert trials.kept(file) is None


@pytest.fixture
def source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Source:
    """Trainings in a workspace of their own, whose user has an empty cache."""
    monkeypatch.setenv("LT_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    return Source(
        label="main/dense",
        seeds=(0,),
        task=settings(tasks__main__train__engine="auto").tasks["main"],
        data=tmp_path / "data",
        engine="sparse",
        metric="at-end",
        starts=tmp_path,
        masks=None,
        round=0,
    )


def block(stride: int) -> Residual:
    norm = BatchNorm(name="n", channels=2)
    return Residual(body=(Conv(name="c", inputs=2, outputs=2, stride=stride), norm))


@pytest.mark.parametrize(
    "other",
    [
        {"engine": "dense"},
        {"optimizer": "sgd"},
        {"batch_size": 60},
        {"augment": "flip-crop"},
        {"network": (block(2),)},
    ],
)
def test_a_trial_speaks_only_for_trainings_that_run_the_same_code(
    other: dict[str, Any],
) -> None:
    kind = replace(KIND, network=(block(1),))
    assert kind.file(VERSIONS) != replace(kind, **other).file(VERSIONS)


def tried(
    monkeypatch: pytest.MonkeyPatch, give: Callable[[trials.Trial], None]
) -> list[str]:
    """Trials end as ``give`` says, without a process; the names of engines tried."""
    names: list[str] = []

    def run_all(works: Sequence[trials.Trial], **_: object) -> None:
        for work in works:
            names.append(work.source.engine)
            give(work)

    monkeypatch.setattr(processes, "run_all", run_all)
    return names


def crash(_: object) -> None:
    raise processes.CrashError("a training process was ended by SIGSEGV")


def test_each_engine_is_tried_once_per_machine_and_version(
    monkeypatch: pytest.MonkeyPatch, source: Source
) -> None:
    names = tried(monkeypatch, lambda trial: trials.keep(trial.file, ""))
    for versions in (VERSIONS, VERSIONS, {"numba": "2"}, VERSIONS):
        found = trials.with_engine_that_works(source, JOB.network, versions)
        assert found is source
    assert names == ["sparse", "sparse"]


def test_an_engine_that_crashes_is_set_aside(
    monkeypatch: pytest.MonkeyPatch,
    source: Source,
    capsys: pytest.CaptureFixture[str],
) -> None:
    names = tried(
        monkeypatch,
        lambda trial: (
            crash(trial) if trial.source.engine == "sparse" else trials.keep(trial.file, "")
        ),
    )
    for _ in range(2):
        found = trials.with_engine_that_works(source, JOB.network, VERSIONS)
        assert found == replace(source, engine="dense")
        assert capsys.readouterr().err == (
            "main/dense: engine sparse does not work on this machine (a training process "
            "was ended by SIGSEGV); dense trains instead\n"
        )
    assert names == ["sparse", "dense"]


def test_engines_without_kernels_of_their_own_are_not_tried(
    monkeypatch: pytest.MonkeyPatch, source: Source
) -> None:
    names = tried(monkeypatch, crash)
    plain = replace(source, engine="reference")
    assert trials.with_engine_that_works(plain, JOB.network, VERSIONS) is plain
    assert names == []
