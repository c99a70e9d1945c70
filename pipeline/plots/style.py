"""The style that all figures share: colors, type, the density axis, saved files.

Colors are Okabe and Ito's (distinct for color-blind readers), each with a marker of
its own. Matplotlib is used without its global state and without a display.
"""

import itertools
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from pipeline.artifacts.files import atomic
from pipeline.presets.recipes import familiar_variants
from pipeline.results.tables import Row, percent

FORMATS: dict[str, dict[str, Any]] = {
    "png": {"Software": None},
    "svg": {"Date": None, "Creator": None},
    "pdf": {"CreationDate": None, "Producer": None, "Creator": None},
}
"""format -> metadata to leave out, so that equal figures give equal bytes"""

SETTINGS: dict[str, Any] = {
    "font.family": "DejaVu Sans",
    "font.size": 9,
    "axes.labelsize": 9,
    "axes.titlesize": 9,
    "xtick.labelsize": 8,
    "ytick.labelsize": 8,
    "legend.fontsize": 8,
    "legend.frameon": False,
    "legend.handlelength": 2.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.8,
    "axes.grid": True,
    "grid.color": "#e4e4e4",
    "grid.linewidth": 0.6,
    "axes.axisbelow": True,
    "lines.linewidth": 1.5,
    "lines.markersize": 4.5,
    "savefig.dpi": 200,
    "svg.hashsalt": "lt-pipeline",
    "svg.fonttype": "none",  # text stays text: it can be searched and edited
    "pdf.fonttype": 42,
}
SLOTS = (
    ("#0072B2", "o"),
    ("#D55E00", "s"),
    ("#009E73", "^"),
    ("#CC79A7", "D"),
    ("#E69F00", "v"),
    ("#56B4E9", "P"),
)
SPARE_MARKERS = "<>phd*"
"""markers from the seventh variant on"""
LINES: tuple[Any, ...] = ("-", (0, (3, 1.2)), (0, (1, 1)), (0, (5, 1, 1, 1)))
"""a line for each turn of the colors"""
DENSE_COLOR = "#555555"
DIVERGED: dict[str, Any] = {
    "marker": "x",
    "color": "black",
    "markersize": 6,
    "markeredgewidth": 1.4,
}
"""the mark where seeds or pairs diverged"""
WEIGHTS_REMAINING = "Weights remaining (%)"


@dataclass(frozen=True, slots=True)
class Drawn:
    """A figure, and a tidy table of the numbers in it."""

    figure: Figure
    table: list[Row]


@contextmanager
def drawing() -> Iterator[None]:
    """Use the settings of this module instead of the user's matplotlibrc."""
    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update(cast("dict[Any, Any]", SETTINGS))
        yield


def new_figure(width: float, height: float) -> Figure:
    """An empty figure, in inches, whose layout keeps its parts from overlapping."""
    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def looks(variants: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Variant -> color, marker and line, distinct for up to 24 variants."""
    familiar = familiar_variants()  # they look the same in every figure
    known = {name: familiar.index(name) for name in variants if name in familiar}
    free = (n for n in itertools.count() if n not in known.values())
    chosen = {name: known[name] if name in known else next(free) for name in variants}
    return {name: _look(slot) for name, slot in chosen.items()}


def _look(slot: int) -> dict[str, Any]:
    turn, place = divmod(slot, len(SLOTS))
    color, marker = SLOTS[place]
    if turn:
        marker = SPARE_MARKERS[(place + turn - 1) % len(SPARE_MARKERS)]
    return {"color": color, "marker": marker, "linestyle": LINES[turn % len(LINES)]}


def diverged_entry(text: str = "some seeds diverged") -> Line2D:
    """The legend entry of the mark where something diverged."""
    return Line2D([], [], linestyle="none", label=text, **DIVERGED)


def weights_axis(
    axes: Axes, densities: Sequence[float], *, room: float = 0.055, beside: float = 1.0
) -> None:
    """Make the x axis logarithmic and falling, with ticks at the densities of rounds.

    Args:
        axes: whose x values are densities.
        densities: of all points. A density of 0 has no place on the axis.
        room: least distance between two labels, as a fraction of the axis.
        beside: largest factor by which markers stand beside their densities.
    """
    placed = [density for density in densities if density > 0] or [1.0]
    high, low = max(placed), min(placed)
    pad = beside * max((high / low) ** 0.03, 1.02)
    axes.set_xscale("log")
    axes.set_xlim(high * pad, low / pad)
    axes.xaxis.set_major_locator(FixedLocator(ticks(placed, room=room)))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: percent(value)))
    axes.set_xlabel(WEIGHTS_REMAINING)


def end_at_100(axes: Axes) -> None:
    """End the y axis at 100 %, which no accuracy exceeds. Call it after drawing."""
    axes.set_ylim(top=min(axes.get_ylim()[1], 100))
    for one in axes.get_shared_y_axes().get_siblings(axes):
        show_whole_markers(one)


def show_whole_markers(axes: Axes) -> None:
    """Let markers at the end of an axis stand out over it instead of being cut in half."""
    for line in axes.lines:
        if line.get_marker() not in ("", "None", None):
            line.set_clip_on(False)


def ticks(densities: Sequence[float], *, room: float) -> list[float]:
    """The densities that get a label: the first, the last, and some between.

    >>> ticks([1.0, 0.8, 0.64, 0.5, 0.1], room=0.2)
    [1.0, 0.5, 0.1]
    """
    high, low = max(densities), min(densities)
    if high == low:
        return [high]
    step = (high / low) ** room
    chosen = [high]
    for density in sorted(set(densities), reverse=True):
        if chosen[-1] / density >= step and density / low >= step:
            chosen.append(density)
    return [*chosen, low]


def save(figure: Figure, path: Path) -> None:
    """Write the figure atomically, in the format that the path's suffix names."""
    kind = path.suffix.removeprefix(".")
    with atomic(path) as temporary:
        figure.savefig(temporary, format=kind, metadata=FORMATS[kind])
