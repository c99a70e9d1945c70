"""Figure of measures of the weights over time, below validation accuracy."""

from collections.abc import Sequence

from matplotlib.axes import Axes

from pipeline.core.measures import MEASURES
from pipeline.plots.figure_input import FigureInput
from pipeline.plots.learning_curves import colors_of, shown_rounds
from pipeline.plots.legends import wrapped_title
from pipeline.plots.lines import draw_line, first_columns, line_of, line_rows, rows_of
from pipeline.plots.panels import color_legend, label_outer, panels
from pipeline.plots.spread import range_over, variants_of
from pipeline.plots.style import Drawn
from pipeline.results.tables import Row, percent

ACCURACY = "validation_accuracy"
PERCENT = 100


def measures(given: FigureInput) -> Drawn | None:
    """Each measure against the training step, a column per variant, colored by density."""
    store = given.store
    if not store.measures:
        return None
    task = store.measures[0]["task"]
    known = {row["measure"] for row in store.measures}
    names = [name for name in MEASURES if name in known]
    variants = variants_of(store.measures)
    accuracy = [row | {"value": row["accuracy"]} for row in store.curves]
    parts: dict[str, Sequence[Row]] = {
        ACCURACY: accuracy,
        **{n: [row for row in store.measures if row["measure"] == n] for n in names},
    }
    drawn = {variant: shown_rounds(store.rounds, variant) for variant in variants}
    colors = colors_of([d for rounds in drawn.values() for d in rounds.values()])
    figure, columns = panels(len(variants), rows_each=len(parts), height=1.7 * len(parts))
    table: list[Row] = []
    for variant, panel in zip(variants, columns, strict=True):
        panel[0].set_title(wrapped_title(variant))
        for number, density in drawn[variant].items():
            for axes, (name, rows) in zip(panel, parts.items(), strict=True):
                line = line_of(rows_of(rows, variant, number), x="step", y="value")
                scale = PERCENT if name == ACCURACY else 1
                draw_line(axes, line, scale=scale, color=colors[percent(density)])
                head = first_columns(task, variant, number, density)
                table += line_rows(head | {"measure": name}, line, x="step")
        _label(panel, list(parts))
    label_outer(columns)
    bands = range_over([len({row["seed"] for row in store.measures})])
    title = "Weights\nremaining (%)" + (f"\nbands: {bands}" if bands else "")
    color_legend(figure, colors, title=title.replace(" over", "\nover"))
    return Drawn(figure, table)


def _label(panel: Sequence[Axes], names: Sequence[str]) -> None:
    """Name the axes; steps are logarithmic, as the phases of a training are."""
    for axes, name in zip(panel, names, strict=True):
        measure = "" if name == ACCURACY else MEASURES[name].label
        label = measure.replace(" of ", "\nof ").replace(" (", "\n(")
        axes.set_ylabel(label or "Validation\naccuracy (%)")
        axes.set_xscale("symlog", linthresh=1)
        axes.set_xlim(left=0)
        axes.tick_params(labelbottom=False)
    panel[-1].tick_params(labelbottom=True)
    panel[-1].set_xlabel("Training step")
