"""The table at the end of a run says what the variants gave."""

from pathlib import Path

import pytest

from pipeline.config import params
from pipeline.core.looks import DEFAULT
from pipeline.inspect import outcome
from pipeline.plan import compiler
from pipeline.results.tables import RoundResult, round_results


def found() -> list[RoundResult]:
    return round_results(Path(), compiler.active(params.load()))


def test_a_line_for_the_dense_network_and_for_each_variants_last_round(
    experiment_root: Path,
) -> None:
    title, *rest = outcome.table(found(), DEFAULT).splitlines()
    lines = [line for line in rest if line.startswith("main: ")]
    assert title == "last rounds, mean and range over 2 seeds"
    names = [" ".join(line.split()[:2]) for line in lines]
    variants = ("dense", "ticket", "one-shot", "reinit", "random-mask")
    assert names == [f"main: {variant}" for variant in variants]
    left = [float(line.split()[2]) for line in lines]
    assert left[0] == 100
    assert max(left[1:]) < 60
    assert "(1.00)" in lines[0]
    assert lines[1].endswith("none is shown")
    assert lines[3].endswith("–")  # a control has no ticket of its own


def test_a_step_that_might_be_later_is_a_lower_bound(experiment_root: Path) -> None:
    lines = outcome.table(found(), DEFAULT).splitlines()
    shown = {line.split()[1]: line for line in lines if line.startswith("main: ")}
    censored = {
        result.variant
        for result in found()
        if result.round == 2 and result.facts["censored"]
    }
    assert censored  # of 2 steps the last is in the last 5 %
    for variant in censored:
        assert "≥" in shown[variant]


def test_no_ticket_wins_against_a_network_that_did_not_train(
    experiment_root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")  # so that no text is wrapped
    text = outcome.table(found(), DEFAULT, untrained=["main"])
    assert "the dense network" in text
    assert "none is shown" not in text
