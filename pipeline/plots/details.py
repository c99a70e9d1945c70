"""What lies behind the comparisons: learning curves, and where weights were kept."""

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, MaxNLocator

from pipeline.plots.panels import label_outer, panels, plain_log_ticks, sequence
from pipeline.plots.shown import Shown
from pipeline.plots.spread import pruned_variants, variants_of
from pipeline.plots.style import Drawn, end_at_100, percent, weights_axis
from pipeline.results.tables import Row
from pipeline.tracking import TrackedStore

CURVES_SHOWN = 6
"""densities among the learning curves: the dense network, the last, and between"""
LEARNED = 0.25
"""share of the training after which a curve's accuracy must lie inside the panel"""

ALL = "all layers"
ALL_DASH = (0, (4, 2))

Line = dict[float, tuple[float, float, float]]
"""x -> (mean, least, greatest) over seeds"""


def validation_curves(shown: Shown) -> Drawn | None:
    """Validation accuracy and loss against the training step, coloured by density."""
    store = shown.store
    if not store.curves:
        return None
    variants = variants_of(store.rounds)
    drawn = {variant: _shown_rounds(store.rounds, variant) for variant in variants}
    colors = _colors([d for rounds in drawn.values() for d in rounds.values()])
    figure, columns = panels(len(variants), rows_each=2, height=4.6)
    table: list[Row] = []
    for variant, (accuracy, loss) in zip(variants, columns, strict=True):
        accuracy.set_title(variant)
        accuracy.set_ylabel("Validation accuracy (%)")
        loss.set_ylabel("Validation loss")
        for number, density in drawn[variant].items():
            rows = _of(store.curves, variant, number)
            for axes, metric, scale in ((accuracy, "accuracy", 100), (loss, "loss", 1)):
                line = _line(rows, x="step", y=metric)
                _draw_line(axes, line, scale=scale, color=colors[percent(density)])
                head = _head(store, variant, number, density)
                table += _table(head | {"metric": metric}, line, x="step")
    _scale_curves(columns, table)
    _color_legend(figure, colors, title="Weights\nremaining (%)")
    return Drawn(figure, table)


def layer_density(shown: Shown) -> Drawn | None:
    """Weights remaining in each layer against weights remaining in all."""
    store = shown.store
    variants = pruned_variants(store.rounds)
    if not variants or not store.layers:
        return None
    layers = sorted({row["layer"] for row in store.layers}, key=_natural)
    colors = dict(zip(layers, sequence(len(layers)), strict=True))
    # Layers of one rate coincide: a later line leaves the rim of an earlier one visible.
    widths = dict(zip(layers, np.linspace(4.5, 1.2, len(layers)), strict=True))
    figure, columns = panels(len(variants))
    table: list[Row] = []
    for variant, (axes,) in zip(variants, columns, strict=True):
        densities = _densities(store.rounds, variant)
        for layer in layers:
            line: Line = {}
            for number, density in densities.items():
                rows = [
                    row
                    for row in _of(store.layers, variant, number)
                    if row["layer"] == layer
                ]
                at = _line([row | {"all": density} for row in rows], x="all", y="density")
                line |= at
                head = _head(store, variant, number, density)
                table += _table(head | {"layer": layer}, at)
            _draw_line(axes, line, scale=100, color=colors[layer], width=widths[layer])
        every = list(densities.values())
        percents = [100 * d for d in every]
        axes.plot(every, percents, color="black", linestyle=ALL_DASH, linewidth=1)
        weights_axis(axes, every, room=0.11 if len(variants) > 1 else 0.06)
        axes.set_yscale("log")
        plain_log_ticks(axes)
        axes.set_title(variant)
        axes.set_ylabel("Weights remaining in the layer (%)")
    label_outer(columns)
    _color_legend(figure, colors | {ALL: "black"}, title="Layer")
    return Drawn(figure, table)


def _natural(name: str) -> list[tuple[str, int]]:
    """Sorts as people count.

    >>> sorted(["conv10", "fc", "conv2"], key=_natural)
    ['conv2', 'conv10', 'fc']
    """
    return [(text, int(part or 0)) for text, part in re.findall(r"(\D*)(\d*)", name)]


def _shown_rounds(rows: Sequence[Row], variant: str) -> dict[int, float]:
    """Round -> density of the rounds that get a curve: evenly chosen, ends included."""
    densities = _densities(rows, variant)
    numbers = list(densities)
    places = np.linspace(0, len(numbers) - 1, min(CURVES_SHOWN, len(numbers)))
    return {numbers[n]: densities[numbers[n]] for n in places.round().astype(int)}


def _densities(rows: Sequence[Row], variant: str) -> dict[int, float]:
    groups: dict[int, list[float]] = defaultdict(list)
    for row in rows:
        if row["variant"] == variant:
            groups[row["round"]].append(row["density"])
    return {number: fmean(groups[number]) for number in sorted(groups)}


def _of(rows: Sequence[Row], variant: str, number: int) -> list[Row]:
    return [row for row in rows if (row["variant"], row["round"]) == (variant, number)]


def _line(rows: Sequence[Row], *, x: str, y: str) -> Line:
    groups: dict[float, list[float]] = defaultdict(list)
    for row in rows:
        if row[y] is not None:
            groups[row[x]].append(row[y])
    return {at: (fmean(v), min(v), max(v)) for at, v in sorted(groups.items())}


def _draw_line(
    axes: Axes, line: Line, *, scale: int, color: str, width: float = 1.3
) -> None:
    if not line:
        return
    places = list(line)
    mean, low, high = scale * np.array(list(line.values())).T
    axes.plot(places, mean, color=color, linewidth=width)
    axes.fill_between(places, low, high, color=color, alpha=0.15, linewidth=0)


def _scale_curves(columns: Sequence[tuple[Axes, ...]], table: Sequence[Row]) -> None:
    """Show where curves differ: the first steps' accuracy may leave the panel below."""
    last = max((row["step"] for row in table), default=0)
    learned = [
        100 * row["min"]
        for row in table
        if row["metric"] == "accuracy" and row["step"] >= LEARNED * last
    ]
    for accuracy, loss in columns:
        accuracy.sharex(loss)
        accuracy.tick_params(labelbottom=False)
        loss.set_xlabel("Training step")
        loss.set_xlim(0, last or 1)
        loss.xaxis.set_major_locator(MaxNLocator(4, integer=True))
        loss.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:,.0f}"))
        loss.set_yscale("log")
        plain_log_ticks(loss)
        if learned:
            top = max(100 * row["max"] for row in table if row["metric"] == "accuracy")
            # A diverged or hopeless training must not squeeze all others.
            bottom = float(np.percentile(learned, 2))
            room = 0.06 * (top - bottom) or 1
            accuracy.set_ylim(bottom - room, top + room)
            end_at_100(accuracy)
    label_outer(columns)


def _colors(densities: Sequence[float]) -> dict[str, str]:
    """Label of a density -> colour, black for the dense network, densest first."""
    labels = list(dict.fromkeys(percent(d) for d in sorted(densities, reverse=True)))
    return dict(zip(labels, ["black", *sequence(len(labels) - 1)], strict=True))


def _color_legend(figure: Figure, colors: Mapping[str, str], *, title: str) -> None:
    handles = []
    for label, color in colors.items():
        dash: Any = ALL_DASH if label == ALL else "-"
        handles.append(Line2D([], [], color=color, linestyle=dash, label=label))
    figure.legend(
        handles=handles,
        loc="outside right center",
        title=title,
        title_fontsize=8,
        ncols=-(-len(handles) // 24),
    )


def _head(store: TrackedStore, variant: str, number: int, density: float) -> Row:
    return {
        "task": store.rounds[0]["task"],
        "variant": variant,
        "round": number,
        "density": density,
    }


def _table(head: Row, line: Line, *, x: str | None = None) -> list[Row]:
    return [
        head | ({x: at} if x else {}) | {"mean": mean, "min": low, "max": high}
        for at, (mean, low, high) in line.items()
    ]
