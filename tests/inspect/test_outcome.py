"""The table at the end of a run says what the variants gave."""

from pathlib import Path

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
    title, _, _, *lines = outcome.table(found(), DEFAULT).splitlines()
    assert title == "last rounds, mean and range over 2 seeds"
    names = [" ".join(line.split()[:2]) for line in lines]
    variants = ("dense", "ticket", "one-shot", "reinit", "random-mask")
    assert names == [f"main: {variant}" for variant in variants]
    left = [float(line.split()[2]) for line in lines]
    assert left[0] == 100
    assert max(left[1:]) < 60
    assert "(1.00)" in lines[0]
    assert "no density is shown to win" in lines[1]
    assert lines[3].endswith("–")  # a control has no ticket of its own


def test_no_ticket_wins_against_a_network_that_did_not_train(experiment_root: Path) -> None:
    text = outcome.table(found(), DEFAULT, untrained=["main"])
    assert "none: the dense network did not train" in text
    assert "shown to win" not in text
