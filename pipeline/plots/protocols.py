"""Figure of the same variants under several tasks, side by side."""

from matplotlib.artist import Artist
from matplotlib.figure import Figure

from pipeline.plots.density_curves import TEST_ACCURACY, draw_curves
from pipeline.plots.error_axis import EXPLAINED, is_error_axis
from pipeline.plots.figure_input import FigureInput
from pipeline.plots.legends import legend_above, wrapped_title
from pipeline.plots.marks import height, wrapped
from pipeline.plots.panels import COLUMNS, panels
from pipeline.plots.spread import pruned_variants, variants_of
from pipeline.plots.style import Drawn, looks
from pipeline.results.tables import Row


def protocols(given: FigureInput) -> Drawn | None:
    """Test accuracy against weights remaining, one panel per task.

    Tasks often differ in one part of the protocol: a learning rate, a model, an
    optimizer. Only tasks that share a variant with another task are drawn. Each panel
    has its own y axis; on a common one, a task that fails would flatten all others.
    """
    tasks = _comparable(given)
    if len(tasks) < 2:
        return None
    variants = variants_of(
        row for task in tasks.values() for row in task.store.rounds if row["round"]
    )
    style = looks(variants)
    figure, columns = panels(len(tasks), share_y=False)
    table: list[Row] = []
    series: dict[str, Artist] = {}
    marks: dict[str, Artist] = {}
    for position, ((name, task), (axes,)) in enumerate(
        zip(tasks.items(), columns, strict=True)
    ):
        curves = draw_curves(axes, task, TEST_ACCURACY, style, room=0.11)
        title = f"{name}\n{EXPLAINED}" if is_error_axis(axes) else name
        axes.set_title(wrapped_title(title))
        if position % COLUMNS == 0:
            axes.set_ylabel(TEST_ACCURACY.label)
        table += curves.table
        for entry in curves.series:
            series.setdefault(str(entry.get_label()), entry)
        for entry in curves.marks:
            text = str(entry.get_label())
            if not _is_published(entry):
                text = wrapped(f"{name}: {text}")
                entry.set_label(text)
            marks.setdefault(text, entry)
    _legends(figure, series, marks)
    return Drawn(figure, table)


def _comparable(given: FigureInput) -> dict[str, FigureInput]:
    """Task -> its input, for the tasks that share a variant with another one."""
    parts = {task: given.of_task(task) for task in given.tasks}
    variants = {
        task: set(pruned_variants(part.store.rounds)) for task, part in parts.items()
    }
    return {
        task: part
        for task, part in parts.items()
        if any(variants[task] & variants[other] for other in parts if other != task)
    }


def _legends(figure: Figure, series: dict[str, Artist], marks: dict[str, Artist]) -> None:
    legend_above(figure, list(series.values()), columns=4)
    if marks:
        entries = sorted(marks.values(), key=_is_published)
        figure.legend(handles=entries, loc="outside lower center")
        figure.set_figheight(figure.get_figheight() + height(entries))


def _is_published(entry: Artist) -> bool:
    return str(entry.get_label()).startswith("published")
