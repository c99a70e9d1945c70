"""Figures of one metric against weights remaining, one curve per variant.

As in figures 3 to 5 of Frankle & Carbin 2019. Points are means over seeds, bars reach
from the least to the greatest seed. Early-stop steps have geometric means, because
verdicts and published numbers compare their ratios; where a seed stops at step 0, there
are none.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from statistics import fmean, geometric_mean
from typing import Any

from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import FuncFormatter

from pipeline.plots.error_axis import EXPLAINED, error_axis, is_error_axis, one_fails
from pipeline.plots.figure_input import FigureInput
from pipeline.plots.legends import INCHES, legend_above
from pipeline.plots.marks import (
    Canvas,
    Points,
    height,
    mark_published,
    mark_winners,
    winners,
)
from pipeline.plots.spread import (
    Mean,
    Spread,
    by_round,
    one_dense,
    pruned_variants,
    range_over,
    spread,
)
from pipeline.plots.style import (
    DENSE_COLOR,
    DIVERGED,
    Drawn,
    diverged_entry,
    end_at_100,
    looks,
    new_figure,
    weights_axis,
)
from pipeline.results.tables import Row
from pipeline.results.winning import Winner

DODGE = 1.012
"""factor on x from one variant to the next, so that bars do not hide each other"""
WIDEST_DODGE = 1.05
"""largest such factor from the first to the last variant"""
PERCENT = 100
COLUMNS = 3
"""of the legend of curves"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Metric:
    """A metric on the y axis."""

    name: str
    label: str
    scale: int
    decimals: int = 0
    """of the numbers on the axis, where they are no percentages"""
    begins_at_0: bool = True
    """whether the axis does, where its numbers are no percentages"""
    censored: str = ""
    """what a hollow marker says of seeds whose value is not known in full; empty = all
    values are known"""
    geometric: bool = False
    """whether its mean is the geometric one"""

    @property
    def mean(self) -> Mean:
        """The mean over seeds."""
        return geometric_mean if self.geometric else fmean

    @property
    def mean_column(self) -> str:
        """The column of the mean in the table."""
        return "geometric_mean" if self.geometric else "mean"


TEST_ACCURACY = Metric(name="test_accuracy", label="Test accuracy (%)", scale=PERCENT)
AT_EARLY_STOP = Metric(
    name="test_accuracy_early_stop", label="Test accuracy at early stop (%)", scale=PERCENT
)
TEST_LOSS = Metric(
    name="test_loss", label="Test loss (nats)", scale=1, decimals=2, begins_at_0=False
)
EARLY_STOP = Metric(
    name="early_stop_step",
    label="Early-stop step (updates), geometric mean",
    scale=1,
    geometric=True,
    censored="lower bound: a stop in the last 5 %",
)
SOME_AT_0 = replace(EARLY_STOP, label="Early-stop step (updates), mean", geometric=False)
"""where a seed stops at step 0, which has no place in a geometric mean"""
DELAY = Metric(
    name="delay",
    label="Step of 99 % validation accuracy\n/ step of 99 % training accuracy",
    scale=1,
    censored="some seeds never; above: all",
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Curves:
    """The legend entries and the table of curves drawn on one pair of axes."""

    series: list[Artist]
    """legend entries of the curves, the dense network, and censored or diverged seeds"""
    table: list[Row]
    marks: list[Artist] = field(default_factory=list)
    """legend entries of winning tickets and published numbers"""


def test_accuracy(given: FigureInput) -> Drawn | None:
    """Test accuracy by the task's metric: at the end, if no program has another one."""
    return _compare(given, TEST_ACCURACY)


def test_accuracy_early_stop(given: FigureInput) -> Drawn | None:
    """Test accuracy at the step of least validation loss."""
    return _compare(given, AT_EARLY_STOP)


def test_loss(given: FigureInput) -> Drawn | None:
    """Test loss at the end of training, per label."""
    if all(row.get(TEST_LOSS.name) is None for row in given.store.rounds):
        return None
    return _compare(given, TEST_LOSS)


def early_stop_step(given: FigureInput) -> Drawn | None:
    """The step of least validation loss."""
    at_0 = any(row[EARLY_STOP.name] == 0 for row in given.store.rounds)
    return _compare(given, SOME_AT_0 if at_0 else EARLY_STOP)


def delay(given: FigureInput) -> Drawn | None:
    """How much later than the training set the validation set is solved."""
    rows = given.store.rounds
    if not any(DELAY.name in row for row in rows):
        return None
    known = tuple(
        row | {DELAY.name: value, "censored": DELAY.name in row and value is None}
        for row in rows
        for value in (row.get(DELAY.name),)
    )
    return _compare(replace(given, store=replace(given.store, rounds=known)), DELAY)


def draw_curves(
    axes: Axes,
    given: FigureInput,
    metric: Metric,
    style: Mapping[str, Mapping[str, Any]],
    *,
    room: float = 0.055,
) -> Curves:
    """Draw one task: a curve per variant, the dense network, and all marks.

    Args:
        axes: to draw on.
        given: of one task.
        metric: for the y axis.
        style: variant -> look, for every variant of the task.
        room: least distance between two labels on x, as a fraction of the axis.
    """
    rows = given.store.rounds
    variants = pruned_variants(rows)
    every = {name: by_round(rows, name, metric.name, mean=metric.mean) for name in variants}
    # Networks without any weight have no place on a logarithmic axis, only in the table.
    points = {
        name: {number: p for number, p in line.items() if p.density > 0}
        for name, line in every.items()
    }
    dodge = min(DODGE, WIDEST_DODGE ** (1 / len(variants)))
    middle = (len(variants) - 1) / 2
    shift = {name: dodge ** (position - middle) for position, name in enumerate(variants)}
    series: list[Artist] = []
    for name, line in points.items():
        _draw_variant(axes, line, style[name], scale=metric.scale, shift=shift[name])
        if metric.censored:
            _mark_censored(axes, line, style[name], shift=shift[name])
        series.append(Line2D([], [], label=name, **style[name]))
    dense = _dense(rows, metric)
    series += _draw_dense(axes, dense, scale=metric.scale) if dense else []
    series += _marks(points, censored=metric.censored)
    densities = [p.density for line in points.values() for p in line.values()]
    weights_axis(axes, densities, room=room, beside=max(*shift.values(), 1.0))
    canvas = Canvas(
        axes=axes,
        points=points,
        dense=dense,
        scale=metric.scale,
        geometric=metric.geometric,
        style=style,
        shift=shift,
    )
    won = winners(given, variants)
    published = [row for row in given.published if row["metric"] == metric.name]
    entries, placed = mark_published(canvas, published)
    marks = mark_winners(canvas, won) + entries
    if metric.scale == PERCENT:
        drawn = _drawn(points, dense, placed)
        if one_fails(drawn):
            error_axis(axes, "y", drawn)
        else:
            end_at_100(axes)
    return Curves(
        series=series,
        table=_table(rows[0]["task"], every, metric, won) + _published(placed, metric),
        marks=marks,
    )


def _compare(given: FigureInput, metric: Metric) -> Drawn | None:
    variants = pruned_variants(given.store.rounds)
    if not variants:
        return None
    figure = new_figure(5.8, 3.9)
    axes = figure.add_subplot()
    curves = draw_curves(axes, given, metric, looks(variants))
    wide = is_error_axis(axes)
    axes.set_ylabel(f"{metric.label}\n{EXPLAINED}" if wide else metric.label)
    if metric.scale == 1:
        if metric.begins_at_0:
            axes.set_ylim(bottom=0)
        places = metric.decimals
        axes.yaxis.set_major_formatter(
            FuncFormatter(lambda value, _: f"{value:,.{places}f}")
        )
    rows = -(-len(curves.series) // COLUMNS)
    figure.set_figheight(3.5 + INCHES * rows + height(curves.marks))
    legend_above(figure, curves.series, columns=COLUMNS)
    if curves.marks:
        figure.legend(handles=curves.marks, loc="outside lower center")
    return Drawn(figure, curves.table)


def _drawn(points: Points, dense: Spread | None, published: Sequence[Row]) -> list[float]:
    """Every accuracy on the axes, in percent: means, ends of bars, published numbers."""
    every = [p for line in points.values() for p in line.values()]
    ends = (v for p in [*every, *([dense] if dense else [])] for v in (p.low, p.high))
    marks = (row["mean"] for row in published if row["kind"] != "leaves")
    return [PERCENT * value for value in (*ends, *marks) if value is not None]


def _draw_variant(
    axes: Axes,
    points: Mapping[int, Spread],
    style: Mapping[str, Any],
    *,
    scale: int,
    shift: float,
) -> None:
    known = [p for p in points.values() if p.mean is not None]
    means = [scale * (p.mean or 0) for p in known]
    below = [scale * ((p.mean or 0) - (p.low or 0)) for p in known]
    above = [scale * ((p.high or 0) - (p.mean or 0)) for p in known]
    densities = [shift * p.density for p in known]
    axes.errorbar(
        densities,
        means,
        yerr=[below, above],
        capsize=2.2,
        elinewidth=0.9,
        capthick=0.9,
        **style,
    )
    for p in points.values():
        if p.num_diverged and p.mean is not None:
            axes.plot(shift * p.density, scale * p.mean, zorder=4, **DIVERGED)
        elif p.num_diverged:
            foot = axes.get_xaxis_transform()
            axes.plot(shift * p.density, 0.02, transform=foot, clip_on=False, **DIVERGED)


def _mark_censored(
    axes: Axes, points: Mapping[int, Spread], style: Mapping[str, Any], *, shift: float
) -> None:
    """Draw hollow markers where seeds are censored; above the axes, if all are."""
    hollow = {**style, "linestyle": "none", "markerfacecolor": "white"}
    top: dict[str, Any] = {"transform": axes.get_xaxis_transform(), "clip_on": False}
    for p in points.values():
        if p.num_censored and p.mean is not None:
            axes.plot(shift * p.density, p.mean, zorder=3, **hollow)
        elif p.num_censored:
            axes.plot(shift * p.density, 1.03, zorder=3, **hollow, **top)


def _dense(rows: Sequence[Row], metric: Metric) -> Spread | None:
    """Spread of the dense network; None if the variants have different ones."""
    dense = one_dense(rows, metric.name)
    reached = spread(dense, metric.name, mean=metric.mean) if dense else None
    return reached if reached and reached.mean is not None else None


def _draw_dense(axes: Axes, reached: Spread, *, scale: int) -> list[Artist]:
    line = axes.axhline(
        scale * (reached.mean or 0),
        color=DENSE_COLOR,
        linestyle=(0, (4, 2)),
        linewidth=1.1,
        zorder=1.5,
    )
    band: dict[str, Any] = {"color": DENSE_COLOR, "alpha": 0.13, "linewidth": 0}
    axes.axhspan(scale * (reached.low or 0), scale * (reached.high or 0), zorder=1, **band)
    line.set_label("dense network")
    # A legend explains what can be seen.
    return (
        [line]
        if reached.low == reached.high
        else [line, Patch(label="dense, min–max", **band)]
    )


def _marks(points: Points, *, censored: str) -> list[Artist]:
    """Legend entries for bars, and censored and diverged seeds, if there are any."""
    every = [p for line in points.values() for p in line.values()]
    handles: list[Artist] = []
    if shown := range_over(p.num_seeds for p in every):
        bar: dict[str, Any] = {"marker": "|", "markersize": 11, "color": DENSE_COLOR}
        handles.append(Line2D([], [], linestyle="none", label=shown, **bar))
    if censored and any(p.num_censored for p in every):
        hollow: dict[str, Any] = {
            "color": "black",
            "marker": "o",
            "markerfacecolor": "white",
        }
        handles.append(Line2D([], [], linestyle="none", label=censored, **hollow))
    if any(p.num_diverged for p in every):
        handles.append(diverged_entry())
    return handles


def _table(
    task: str, points: Points, metric: Metric, won: Mapping[str, Winner]
) -> list[Row]:
    return [
        {
            "task": task,
            "variant": variant,
            "round": number,
            "density": p.density,
            "metric": metric.name,
            metric.mean_column: p.mean,
            "min": p.low,
            "max": p.high,
            "seeds": p.num_seeds,
            "censored": p.num_censored,
            "diverged": p.num_diverged,
            "winning": _confidence(won.get(variant), p.density),
            "published": None,
        }
        for variant, line in points.items()
        for number, p in line.items()
    ]


def _confidence(winner: Winner | None, density: float) -> str | None:
    """The confidence of the smallest winning ticket, in the row of its density only."""
    here = winner is not None and math.isclose(winner.density, density)
    return winner.confidence if winner and here else None


def _published(placed: Sequence[Row], metric: Metric) -> list[Row]:
    """Published numbers as rows of the same table, with their source."""
    return [
        {
            **{name: row[name] for name in ("task", "variant", "density", "metric")},
            metric.mean_column: row["mean"],
            "published": f"{row['kind']}: {row['source']}, {row['where']}",
        }
        for row in placed
    ]
