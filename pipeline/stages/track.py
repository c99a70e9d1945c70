"""Stage ``track``: write results into MLflow and draw the default figures.

    python -m pipeline.stages.track

The artifacts are safe whatever happens here: a store that cannot be reached is a warning,
and `lt-pipeline track` tries again. The output is the hash of what was written; it is
in no cache and not in git, so that a clone is tracked on its first repro.
"""

from collections.abc import Collection
from pathlib import Path

from pipeline import compare, plots, tracking
from pipeline.artifacts import files, paths
from pipeline.border import notes
from pipeline.config import params
from pipeline.config.settings import Settings
from pipeline.core.looks import Looks
from pipeline.inspect import outcome
from pipeline.plan import compiler, plan_file
from pipeline.results.tables import round_results
from pipeline.run import instances
from pipeline.tracking import TrackedStore, live

OUT = tracking.TRACKED
FIGURES = tracking.FIGURES


def run() -> None:
    """Write what the plan holds, draw the figures of it, and say what it gave."""
    settings = params.load()
    plan_file.check(settings)
    live.end()
    try:
        asked = tracking.asked_by(settings)
        report = tracking.write(Path(), None, asked)
        store = _read(settings)
        untrained = compare.untrained(store)
        if report.untrained != untrained.keys():
            tracking.write(Path(), None, asked, untrained=untrained)
        drawn = _draw(store, untrained)
        tracking.note_drawn(drawn)
        tracking.summarize(Path(), None, settings, drawn)
        said = _said(settings, store.looks, untrained, len(drawn) // 2, report)
        notes.say(f"\n{said}")
        with files.atomic(paths.OUTCOME) as temporary:
            temporary.write_text(f"{said}\n", encoding="utf-8")
    except (tracking.TrackingError, plots.PlotError) as error:
        notes.warn(str(error))
    with files.atomic(OUT) as temporary:
        temporary.write_text(tracking.results_digest() + "\n", encoding="utf-8")


def _read(settings: Settings) -> TrackedStore:
    store = tracking.read(None, settings.experiment, runs=tracking.held(settings))
    notes.warn(store.warning)
    return store


def _draw(store: TrackedStore, untrained: Collection[str]) -> list[Path]:
    """The files of the figures, and of the tables beside them."""
    drawn = plots.draw(
        store,
        out=FIGURES,
        published=compare.published(store),
        untrained=untrained,
    )
    return [file for figure in drawn for file in (figure, figure.with_suffix(".csv"))]


def _said(
    settings: Settings,
    looks: Looks,
    untrained: Collection[str],
    num_figures: int,
    report: tracking.TrackReport,
) -> str:
    """What the experiment gave, and where to look."""
    results = round_results(Path(), compiler.active(settings))
    parts = [
        f"{num_figures} figures in {FIGURES}/, a row per round in results/rounds.csv",
        str(report),
    ]
    if results:
        table = outcome.table(results, looks, untrained)
        parts.insert(0, f"{table}\n")
    return "\n".join(parts)


if __name__ == "__main__":
    instances.run_single("track", run)
