"""The figure of delayed generalization."""

from pipeline.plots import density_curves
from pipeline.plots.figure_input import FigureInput
from pipeline.tracking import TrackedStore

COMMON = {"task": "main", "validation_loss": 0.1, "early_stop_step": 3, "censored": True}


def row(variant, round, seed, delay):
    place = {"variant": variant, "round": round, "seed": seed, "diverged": False}
    known = {} if delay is False else {"delay": delay}
    return COMMON | place | {"density": 0.4**round} | known


def given(*delays):
    rows = [
        row(variant, round, seed, delay)
        for (variant, round), found in delays
        for seed, delay in enumerate(found)
    ]
    store = TrackedStore(experiment="toy", rounds=tuple(rows), layers=(), curves=())
    return FigureInput(store=store)


def test_a_seed_that_never_generalizes_is_censored_and_not_averaged():
    dense = [(("ticket", 0), (80.0, 90.0)), (("random-mask", 0), (80.0, 90.0))]
    rounds = [(("ticket", 1), (4.0, 6.0)), (("random-mask", 1), (70.0, None))]
    none = [(("random-mask", 2), (None, None))]
    drawn = density_curves.delay(given(*dense, *rounds, *none))
    found = {(r["variant"], r["round"]): r for r in drawn.table}
    assert found["ticket", 1]["mean"] == 5.0
    assert (found["random-mask", 1]["mean"], found["random-mask", 1]["censored"]) == (70, 1)
    assert (found["random-mask", 2]["mean"], found["random-mask", 2]["censored"]) == (
        None,
        2,
    )
    assert found["ticket", 1]["censored"] == 0, "not that of the early stop"


def test_a_chain_in_which_no_seed_generalizes_is_drawn():
    none = [(("ticket", round), (None, None)) for round in (0, 1)]
    drawn = density_curves.delay(given(*none))
    assert [(r["mean"], r["censored"]) for r in drawn.table] == [(None, 2)] * 2
    hollow = [x for x in drawn.figure.axes[0].lines if x.get_markerfacecolor() == "white"]
    assert len(hollow) == 2


def test_without_evaluations_on_the_training_set_there_is_no_figure():
    assert density_curves.delay(given((("ticket", 0), (False,)))) is None
