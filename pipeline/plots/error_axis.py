"""Make an axis of accuracies logarithmic in the error, where one network fails.

On a linear axis, a variant that fails would squeeze all others into one line.
"""

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

WIDE = 4.0
"""ratio of the largest to the least error from which an axis is logarithmic"""
FAILS = 25.0
"""error, in percent, from which a network fails"""
LEAST = 0.1
"""added to every error, in percent: a network without errors has a place on the axis, and
counts as one with so many"""
ERRORS = (0, 0.2, 0.5, 1, 1.5, 2, 3, 4, 5, 7, 10, 20, 30, 50, 70, 90)
"""possible ticks, in percent"""
TICKS = {"x": 5, "y": 8}
"""most ticks, because labels on x stand side by side"""
EXPLAINED = "logarithmic in the error"
"""belongs into the label of such an axis, or into the title of its panel"""


def one_fails(accuracies: Sequence[float]) -> bool:
    """Whether one of these accuracies, in percent, is too far off for a linear axis."""
    least, most = _range(accuracies)
    return most >= FAILS and most / max(least, LEAST) >= WIDE


def error_axis(axes: Axes, side: Literal["x", "y"], accuracies: Sequence[float]) -> None:
    """Make an axis logarithmic in the error; call it after drawing.

    Args:
        axes: that has it.
        side: which axis.
        accuracies: all that are drawn, in percent.
    """
    least, most = _range(accuracies)
    scale, limits = (
        (axes.set_xscale, axes.set_xlim)
        if side == "x"
        else (axes.set_yscale, axes.set_ylim)
    )
    scale("function", functions=(_to_axis, _from_axis))
    limits(100 - 1.2 * most, 100 - (least / 1.2 if least else -LEAST / 6))
    marks = [e for e in ERRORS if least / 1.2 <= e <= 1.2 * most]
    thin = marks[::-1][:: -(-len(marks) // TICKS[side]) or 1]  # the failing one has a tick
    thin += [e for e in marks if e == 0 and e not in thin]  # and so has one without errors
    axis = axes.xaxis if side == "x" else axes.yaxis
    axis.set_major_locator(FixedLocator([100 - e for e in thin]))
    axis.set_minor_locator(NullLocator())
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))


def is_error_axis(axes: Axes) -> bool:
    """Whether the y axis is logarithmic in the error."""
    return axes.get_yscale() == "function"


def _range(accuracies: Sequence[float]) -> tuple[float, float]:
    """The least and the largest error, in percent."""
    errors = [100 - accuracy for accuracy in accuracies]
    return min(errors, default=1), max(errors, default=1)


def _to_axis(accuracy: Any) -> Any:  # noqa: ANN401 - matplotlib gives arrays of any shape
    return -np.log(np.maximum(100 - np.asarray(accuracy, float) + LEAST, LEAST / 2))


def _from_axis(value: Any) -> Any:  # noqa: ANN401 - matplotlib gives arrays of any shape
    return 100 + LEAST - np.exp(-np.asarray(value, float))
