"""Figure of learning curves on the validation set, colored by density."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, MaxNLocator

from pipeline.plots.figure_input import FigureInput
from pipeline.plots.legends import wrapped_title
from pipeline.plots.lines import (
    densities_of,
    draw_line,
    first_columns,
    line_of,
    line_rows,
    rows_of,
)
from pipeline.plots.panels import (
    color_legend,
    label_outer,
    panels,
    plain_log_ticks,
    sequence,
)
from pipeline.plots.spread import range_over, variants_of
from pipeline.plots.style import Drawn, end_at_100
from pipeline.results.tables import Row, percent

CURVES_SHOWN = 6
"""densities that get a curve: the dense network, the last round, and some between"""
LEARNED = 0.25
"""after this share of the training a curve must lie inside the panel"""
FEW = 2
"""percent of such points that may lie outside: a diverged or hopeless training must not
squeeze all others"""
BEGINNING = 10
"""largest ratio of the loss at the top of a panel to those after that share"""


def validation_curves(given: FigureInput) -> Drawn | None:
    """Validation accuracy and loss against the training step, colored by density."""
    store = given.store
    if not store.curves:
        return None
    task = store.rounds[0]["task"]
    variants = variants_of(store.rounds)
    drawn = {variant: shown_rounds(store.rounds, variant) for variant in variants}
    colors = colors_of([d for rounds in drawn.values() for d in rounds.values()])
    figure, columns = panels(len(variants), rows_each=2, height=4.6)
    table: list[Row] = []
    for variant, (accuracy, loss) in zip(variants, columns, strict=True):
        accuracy.set_title(wrapped_title(variant))
        accuracy.set_ylabel("Validation accuracy (%)")
        loss.set_ylabel("Validation loss")
        for number, density in drawn[variant].items():
            rows = rows_of(store.curves, variant, number)
            for axes, metric, scale in ((accuracy, "accuracy", 100), (loss, "loss", 1)):
                line = line_of(rows, x="step", y=metric)
                draw_line(axes, line, scale=scale, color=colors[percent(density)])
                head = first_columns(task, variant, number, density)
                table += line_rows(head | {"metric": metric}, line, x="step")
    _scale_curves(columns, table)
    bands = range_over([len({row["seed"] for row in store.curves})])
    title = "Weights\nremaining (%)" + (f"\nbands: {bands}" if bands else "")
    color_legend(figure, colors, title=title.replace(" over", "\nover"))
    return Drawn(figure, table)


def shown_rounds(rows: Sequence[Row], variant: str) -> dict[int, float]:
    """Round -> density, for evenly chosen rounds that include the first and the last."""
    densities = densities_of(rows, variant)
    numbers = list(densities)
    positions = np.linspace(0, len(numbers) - 1, min(CURVES_SHOWN, len(numbers)))
    return {numbers[n]: densities[numbers[n]] for n in positions.round().astype(int)}


def _scale_curves(columns: Sequence[tuple[Axes, ...]], table: Sequence[Row]) -> None:
    """Scale the axes to where curves differ; they may begin outside the panel."""
    last = max((row["step"] for row in table), default=0)
    for accuracy, loss in columns:
        accuracy.sharex(loss)
        accuracy.tick_params(labelbottom=False)
        loss.set_xlabel("Training step")
        loss.set_xlim(0, last or 1)
        loss.xaxis.set_major_locator(MaxNLocator(4, integer=True))
        loss.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:,.0f}"))
        loss.set_yscale("log")
    first_accuracy, first_loss = columns[0]  # the others share their axes
    learned = [row for row in table if row["step"] >= LEARNED * last]
    _scale_accuracy(first_accuracy, _of(learned, "accuracy"), _of(table, "accuracy"))
    _scale_loss(first_loss, _of(learned, "loss"))
    label_outer(columns)


def _of(rows: Sequence[Row], metric: str) -> list[Row]:
    return [row for row in rows if row["metric"] == metric]


def _scale_accuracy(axes: Axes, learned: Sequence[Row], every: Sequence[Row]) -> None:
    if not learned:
        return
    top = max(100 * row["max"] for row in every)
    bottom = float(np.percentile([100 * row["min"] for row in learned], FEW))
    room = 0.06 * (top - bottom) or 1
    axes.set_ylim(bottom - room, top + room)
    end_at_100(axes)


def _scale_loss(axes: Axes, learned: Sequence[Row]) -> None:
    if learned:
        top = BEGINNING * float(np.percentile([row["max"] for row in learned], 100 - FEW))
        bottom, highest = axes.get_ylim()
        if bottom < top < highest:
            axes.set_ylim(bottom, top)
    plain_log_ticks(axes)


def colors_of(densities: Sequence[float]) -> dict[str, str]:
    """Density in percent -> color, densest first; the dense network is black."""
    labels = list(dict.fromkeys(percent(d) for d in sorted(densities, reverse=True)))
    return dict(zip(labels, ["black", *sequence(len(labels) - 1)], strict=True))
