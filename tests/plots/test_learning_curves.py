"""Learning curves: an axis of losses stays legible over many decades."""

import itertools

import pytest

from pipeline.plots.figure_input import FigureInput
from pipeline.plots.learning_curves import validation_curves
from pipeline.tracking import TrackedStore


def losses(loss):
    """The axis of losses of two variants over ten rounds, whose loss depends on both."""
    places = [
        {"task": "main", "variant": variant, "seed": 0, "round": round}
        | {"density": 0.8**round}
        for variant in ("ticket", "reinit")
        for round in range(10)
    ]
    curves = [
        place | {"step": step, "accuracy": 0.9, "loss": loss(place, step)}
        for place in places
        for step in range(0, 1001, 50)
    ]
    store = TrackedStore(
        experiment="toy", rounds=tuple(places), layers=(), curves=tuple(curves)
    )
    figure = validation_curves(FigureInput(store=store)).figure
    figure.draw_without_rendering()
    return figure.axes[1]


@pytest.mark.parametrize("decades", [0.5, 2, 4, 9, 30])
def test_labels_of_losses_do_not_overlap(decades):
    axes = losses(lambda _, step: 2 * 10.0 ** (-decades * step / 1000))
    bottom, top = axes.get_ylim()
    inside = [tick for tick in axes.get_yticks() if bottom <= tick <= top]
    assert 1 <= len(inside) <= 8
    labels = [one for one in axes.get_yticklabels() if one.get_text()]
    boxes = sorted((one.get_window_extent() for one in labels), key=lambda box: box.y0)
    assert all(a.y1 < b.y0 for a, b in itertools.pairwise(boxes))


def test_a_loss_that_explodes_does_not_squeeze_the_others():
    def loss(place, step):
        explodes = (place["variant"], place["round"], step) == ("reinit", 9, 500)
        return 1e9 if explodes else 2.3 if step == 0 else 0.5

    bottom, top = losses(loss).get_ylim()
    assert bottom < 0.5
    assert 2.3 < top <= 5
