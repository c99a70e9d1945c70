"""Figure of the weights remaining in each layer against the weights remaining in all."""

import re

import numpy as np

from pipeline.plots.figure_input import FigureInput
from pipeline.plots.legends import wrapped_title
from pipeline.plots.lines import (
    Line,
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
from pipeline.plots.spread import pruned_variants
from pipeline.plots.style import Drawn, weights_axis
from pipeline.results.tables import Row

ALL = "all layers"
ALL_DASH = (0, (4, 2))


def layer_density(given: FigureInput) -> Drawn | None:
    """Weights remaining in each layer against weights remaining in all layers."""
    store = given.store
    variants = pruned_variants(store.rounds)
    if not variants or not store.layers:
        return None
    task = store.rounds[0]["task"]
    layers = sorted({row["layer"] for row in store.layers}, key=_natural)
    colors = dict(zip(layers, sequence(len(layers)), strict=True))
    # Layers pruned at one rate coincide. Thinner lines on top leave the others visible.
    widths = dict(zip(layers, np.linspace(4.5, 1.2, len(layers)), strict=True))
    figure, columns = panels(len(variants))
    table: list[Row] = []
    for variant, (axes,) in zip(variants, columns, strict=True):
        densities = densities_of(store.rounds, variant)
        for layer in layers:
            line: Line = {}
            for number, density in densities.items():
                rows = [
                    row
                    for row in rows_of(store.layers, variant, number)
                    if row["layer"] == layer
                ]
                at = line_of([row | {"all": density} for row in rows], x="all", y="density")
                line |= at
                head = first_columns(task, variant, number, density)
                table += line_rows(head | {"layer": layer}, at)
            line.pop(0.0, None)  # no weight is left at all, for which x has no place
            draw_line(axes, line, scale=100, color=colors[layer], width=widths[layer])
        every = [density for density in densities.values() if density > 0]
        percents = [100 * d for d in every]
        axes.plot(every, percents, color="black", linestyle=ALL_DASH, linewidth=1)
        weights_axis(axes, every, room=0.11 if len(variants) > 1 else 0.06)
        axes.set_yscale("log")
        axes.set_title(wrapped_title(variant))
        axes.set_ylabel("Weights remaining in the layer (%)")
    plain_log_ticks(columns[0][0])
    label_outer(columns)
    color_legend(figure, colors | {ALL: "black"}, title="Layer", dashes={ALL: ALL_DASH})
    return Drawn(figure, table)


def _natural(name: str) -> list[tuple[str, int]]:
    """A sort key that orders the numbers in names by value.

    >>> sorted(["conv10", "fc", "conv2"], key=_natural)
    ['conv2', 'conv10', 'fc']
    """
    return [(text, int(part or 0)) for text, part in re.findall(r"(\D*)(\d*)", name)]
