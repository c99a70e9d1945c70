"""One number against weights remaining, variants overlaid (Frankle & Carbin, fig. 3-5).

Points are means over seeds, bars reach from the least to the greatest.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import FuncFormatter

from pipeline.plots.spread import Spread, by_round, one_dense, spread, variants_of
from pipeline.plots.style import (
    DENSE_COLOR,
    Drawn,
    looks,
    new_figure,
    weights_axis,
)
from pipeline.tables import Row
from pipeline.tracking import TrackedStore

DODGE = 1.012
"""factor on x between variants, so that bars do not hide each other"""
WIDEST_DODGE = 1.05
"""between the first and the last variant"""
DIVERGED: dict[str, Any] = {
    "marker": "x",
    "color": "black",
    "markersize": 6,
    "markeredgewidth": 1.4,
}
PERCENT = 100


def test_accuracy(store: TrackedStore) -> Drawn:
    """Test accuracy at the end of training."""
    return _compare(store.rounds, "test_accuracy", "Test accuracy (%)", PERCENT)


def test_accuracy_early_stop(store: TrackedStore) -> Drawn:
    """Test accuracy at the step of least validation loss."""
    label = "Test accuracy at early stop (%)"
    return _compare(store.rounds, "test_accuracy_early_stop", label, PERCENT)


def early_stop_step(store: TrackedStore) -> Drawn:
    """The step of least validation loss."""
    return _compare(store.rounds, "early_stop_step", "Early-stop step (updates)", 1)


def _compare(rows: Sequence[Row], metric: str, label: str, scale: int) -> Drawn:
    variants = variants_of(rows)
    style = looks(variants)
    points = {name: by_round(rows, name, metric) for name in variants}
    dodge = min(DODGE, WIDEST_DODGE ** (1 / len(variants)))
    figure = new_figure(5.8, 3.9)
    axes = figure.add_subplot()
    handles: list[Artist] = []
    for position, name in enumerate(variants):
        shift = dodge ** (position - (len(variants) - 1) / 2)
        _draw_variant(axes, points[name], style[name], scale=scale, shift=shift)
        if metric == "early_stop_step":
            _mark_censored(axes, points[name], style[name], shift=shift)
        handles.append(Line2D([], [], label=name, **style[name]))
    handles += _draw_dense(axes, rows, metric, scale=scale)
    handles += _marks(points, censored=metric == "early_stop_step")
    weights_axis(axes, [p.density for line in points.values() for p in line.values()])
    axes.set_ylabel(label)
    if scale == 1:
        axes.set_ylim(bottom=0)
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
    figure.legend(handles=handles, loc="outside upper center", ncols=3)
    return Drawn(figure, _table(rows[0]["task"], points, metric))


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
    places = [shift * p.density for p in known]
    axes.errorbar(
        places,
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
    """A hollow marker: validation loss was still falling, the true step is later."""
    for p in points.values():
        if p.num_censored and p.mean is not None:
            hollow = {**style, "linestyle": "none", "markerfacecolor": "white"}
            axes.plot(shift * p.density, p.mean, zorder=3, **hollow)


def _draw_dense(
    axes: Axes, rows: Sequence[Row], metric: str, *, scale: int
) -> list[Artist]:
    dense = one_dense(rows, metric)
    if dense is None:
        return []
    reached = spread(dense, metric)
    if reached.mean is None:
        return []
    line = axes.axhline(
        scale * reached.mean,
        color=DENSE_COLOR,
        linestyle=(0, (4, 2)),
        linewidth=1.1,
        zorder=1.5,
    )
    band: dict[str, Any] = {"color": DENSE_COLOR, "alpha": 0.13, "linewidth": 0}
    axes.axhspan(scale * (reached.low or 0), scale * (reached.high or 0), zorder=1, **band)
    line.set_label("dense network")
    return [line, Patch(label="dense, min–max", **band)]


def _marks(points: Mapping[str, Mapping[int, Spread]], *, censored: bool) -> list[Artist]:
    """Legend entries of the marks that occur."""
    every = [p for line in points.values() for p in line.values()]
    handles: list[Artist] = []
    if censored and any(p.num_censored for p in every):
        hollow: dict[str, Any] = {
            "color": "black",
            "marker": "o",
            "markerfacecolor": "white",
        }
        label = "lower bound: a stop in the last 5 %"
        handles.append(Line2D([], [], linestyle="none", label=label, **hollow))
    if any(p.num_diverged for p in every):
        label = "some seeds diverged"
        handles.append(Line2D([], [], linestyle="none", label=label, **DIVERGED))
    return handles


def _table(task: str, points: Mapping[str, Mapping[int, Spread]], metric: str) -> list[Row]:
    return [
        {
            "task": task,
            "variant": variant,
            "round": number,
            "density": p.density,
            "metric": metric,
            "mean": p.mean,
            "min": p.low,
            "max": p.high,
            "seeds": p.num_seeds,
            "censored": p.num_censored,
            "diverged": p.num_diverged,
        }
        for variant, line in points.items()
        for number, p in line.items()
    ]
