"""Machines that compute the same bits have one class; others have another."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers.fully_connected import make_job

from pipeline import engines
from pipeline.border import caches
from pipeline.run import machines
from pipeline.run.kept import numerics
from pipeline.run.kept.numerics import Canary


@pytest.fixture(autouse=True)
def _cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(caches, "user_cache", lambda _: tmp_path)


def canary(engine: str = "reference") -> Canary:
    return Canary(engine=engine, job=make_job(), data="digest")


class Rounds:
    """An engine whose weights end in another last digit."""

    def __init__(self, engine: Any) -> None:  # noqa: ANN401
        self._engine = engine

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401
        return getattr(self._engine, name)

    def weights(self) -> list[Any]:
        (found,) = self._engine.weights()
        return [{n: np.nextafter(w, np.float32(2)) for n, w in found.items()}]


def test_a_class_is_computed_once_and_is_the_same_again(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert canary().known() is None
    first = canary().found()
    assert canary().known() == first
    assert numerics.here() == {first}
    canary().file.unlink()
    assert canary().found() == first
    monkeypatch.setattr(engines, "make_engine", None)
    assert canary().found() == first


def test_a_last_digit_makes_another_class(monkeypatch: pytest.MonkeyPatch) -> None:
    first = canary().found()
    canary().file.unlink()
    make = engines.make_engine
    monkeypatch.setattr(engines, "make_engine", lambda *of: Rounds(make(*of)))
    assert canary().found() != first


def test_a_rate_needs_no_canary_of_its_own_and_an_optimizer_does() -> None:
    one = canary()
    train = one.job.settings
    rate = replace(one, job=replace(one.job, settings=replace(train, lr=train.lr / 3)))
    assert rate.file == one.file
    other = "sgd" if train.optimizer != "sgd" else "adam"
    plain = replace(train, optimizer=other, momentum=0.0)
    assert replace(one, job=replace(one.job, settings=plain)).file != one.file


def test_another_processor_or_version_computes_its_own(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    here = canary().file
    with monkeypatch.context() as patch:
        patch.setattr(machines, "processor", lambda _: "another")
        assert canary().file != here
    monkeypatch.setattr(machines, "versions", lambda: {"torch": "3"})
    assert canary().file != here


def test_a_variable_that_chooses_instructions_has_a_class_of_its_own(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    here = canary().file
    monkeypatch.setenv("MKL_CBWR", "COMPATIBLE")
    assert canary().file != here


def test_a_damaged_note_is_computed_again() -> None:
    first = canary().found()
    canary().file.write_text("{")
    assert canary().found() == first
