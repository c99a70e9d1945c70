import pytest
from helpers.tracked_stores import SETTINGS, store

from pipeline.plots import density_curves
from pipeline.plots.density_curves import early_stop_step
from pipeline.plots.figure_input import FigureInput
from pipeline.plots.marks import LINE, wrapped

WINNING = {
    "task": "main",
    "variant": "ticket",
    "metric": "test_accuracy",
    "kind": "reading",
    "against": None,
    "against_at": None,
    "density": 0.211,
    "value": 0.984,
    "source": "Somebody 2019, arXiv:1803.03635",
    "where": "Figure 1",
}


def until(density):
    """Accuracy of tickets that win down to a density; reinitialized networks as well."""

    def accuracy(variant, at, seed):
        loss = 0.01 if variant != "dense" and at < density else -0.002
        return 0.98 + 0.0001 * (seed % 3) - (0 if variant == "dense" else loss)

    return accuracy


def marks(figure):
    return [text.get_text() for text in figure.legends[1].get_texts()]


def test_the_smallest_winning_ticket_has_a_star_and_its_confidence():
    found = density_curves.test_accuracy(
        FigureInput(store=store(accuracy=until(0.2), seeds=range(10)))
    )
    (text,) = marks(found.figure)
    assert text.startswith(
        "ticket, smallest winning density: 21.1 %; wins in 10 of 10 seeds"
    )
    assert "p = " in text
    won = [row for row in found.table if row["winning"]]
    assert [(row["variant"], row["density"]) for row in won] == [("ticket", 0.211)]
    (star,) = [line for line in found.figure.axes[0].lines if line.get_marker() == "*"]
    assert star.get_xdata()[0] == pytest.approx(0.211, rel=0.03)
    assert star.get_markerfacecolor() == star.get_color()


@pytest.mark.parametrize("kept", ["p = 0.03", "(63–100 %)", "21.1 %"])
def test_a_number_and_its_unit_stay_on_one_line(kept):
    for length in range(LINE - 12, LINE):
        words = ("x" * 9 + " ") * 9
        assert kept in wrapped(f"{words[:length]} {kept} and more")


def test_the_star_is_hollow_if_there_are_too_few_seeds():
    found = density_curves.test_accuracy(
        FigureInput(store=store(accuracy=until(0.2), seeds=range(4)))
    )
    assert "not enough seeds" in marks(found.figure)[0].replace("\n", " ")
    (star,) = [line for line in found.figure.axes[0].lines if line.get_marker() == "*"]
    assert star.get_markerfacecolor() == "white"


def test_no_star_without_a_winner_or_its_settings():
    for one in (store(accuracy=until(1.1)), store(accuracy=until(0.2), settings={})):
        assert len(density_curves.test_accuracy(FigureInput(store=one)).figure.legends) == 1


def test_no_star_if_the_dense_network_did_not_train():
    one = store(accuracy=until(0.2))
    assert density_curves.test_accuracy(FigureInput(store=one)).figure.legends[1:]
    found = density_curves.test_accuracy(
        FigureInput(store=one, untrained=frozenset(["main"]))
    )
    assert len(found.figure.legends) == 1
    assert not [line for line in found.figure.axes[0].lines if line.get_marker() == "*"]
    assert not [row for row in found.table if row["winning"]]
    other = density_curves.test_accuracy(
        FigureInput(store=one, untrained=frozenset(["other"]))
    )
    assert other.figure.legends[1:]


def by_seed(variant, density, seed):
    return 2500 * 4 ** (seed % 2)


def reinit_at_0(variant, density, seed):
    return 0 if variant == "reinit" else 5000


def up_to_the_end(variant, density, seed):
    return 5000 if seed else 14900


def drawn(*rows, figure=density_curves.test_accuracy, **what):
    what.setdefault("accuracy", until(1.1))
    return figure(FigureInput(store=store(**what), published=rows))


def test_a_published_reading_is_marked_at_its_value():
    found = drawn(WINNING)
    (row,) = [row for row in found.table if row["published"]]
    assert row["mean"] == 0.984
    assert row["published"] == "reading: Somebody 2019, arXiv:1803.03635, Figure 1"
    assert marks(found.figure) == ["published: Somebody 2019"]
    (mark,) = [line for line in found.figure.axes[0].lines if line.get_zorder() == 6]
    assert (mark.get_xdata()[0], mark.get_ydata()[0]) == pytest.approx((0.211, 98.4))


@pytest.mark.parametrize(
    ("against", "expected"), [("dense", 0.9800875 + 0.003), ("reinit", 0.9700875 - 0.003)]
)
def test_a_gap_is_marked_above_the_dense_network_or_below_the_upper_variant(
    against, expected
):
    row = WINNING | {"kind": "difference", "value": 0.003}
    found = drawn(row | {"against": against, "against_at": 0.21})
    (mark,) = [row for row in found.table if row["published"]]
    assert mark["mean"] == pytest.approx(expected)


RATIO = WINNING | {"kind": "ratio", "value": 0.62, "metric": "early_stop_step"}
RATIO |= {"against": "dense", "against_at": 0.211}


def test_a_ratio_is_marked_relative_to_the_early_stop_of_the_other_variant():
    """Verdicts compare geometric means, too."""
    found = drawn(RATIO, figure=early_stop_step, step=by_seed)
    (mark,) = [row for row in found.table if row["published"]]
    assert mark["geometric_mean"] == pytest.approx(3100)


@pytest.mark.parametrize("step", [reinit_at_0, up_to_the_end])
def test_a_ratio_without_a_geometric_mean_to_refer_to_is_left_out(step):
    found = drawn(RATIO, figure=early_stop_step, step=step)
    assert not [row for row in found.table if row["published"]]


def test_a_number_at_a_density_that_is_not_drawn_is_left_out():
    outside = WINNING | {"density": 0.02, "value": 0.5}
    found = drawn(outside, outside | {"kind": "leaves", "value": None})
    assert len(found.figure.legends) == 1
    assert not [row for row in found.table if row["published"]]
    assert min(found.figure.axes[0].get_ylim()) > 90


def test_a_density_where_the_curve_falls_off_is_marked_on_the_axis():
    found = drawn(WINNING | {"kind": "leaves", "value": None})
    assert marks(found.figure) == [
        "published density at which the curve falls off: Somebody 2019"
    ]


def test_a_difference_from_a_variant_without_results_is_left_out():
    row = WINNING | {"kind": "difference", "against": "reinit", "against_at": 0.02}
    assert len(drawn(row | {"density": 0.02}).figure.legends) == 1
    assert len(drawn(row | {"against": "one-shot"}).figure.legends) == 1


def test_many_winners_are_named_without_their_confidence():
    names = [f"ticket-{n}" for n in range(4)]
    recipe = {"prune.mask": "own", "rewind.to": "theta0", "rewind.pruned": "zero"}
    recipes = dict.fromkeys(names, recipe)
    one = store(variants=names, accuracy=until(0.2), recipes=recipes, settings=SETTINGS)
    texts = marks(density_curves.test_accuracy(FigureInput(store=one)).figure)
    assert texts == [f"{name}, smallest winning density: 21.1 %" for name in names]


def test_a_variant_that_freezes_pruned_weights_wins_nothing():
    recipe = {"prune.mask": "own", "rewind.to": "theta0", "rewind.pruned": "freeze-init"}
    one = store(variants=["ticket"], accuracy=until(0.2), recipes={"ticket": recipe})
    assert len(density_curves.test_accuracy(FigureInput(store=one)).figure.legends) == 1
