"""Stage ``track``: write results into MLflow and draw the default figures.

    python -m pipeline.stages.track

The artifacts are safe whatever happens here: a store that cannot be reached is a warning,
and `lt-pipeline track` tries again. The output is the hash of what was written; it is
in no cache and not in git, so that a clone is tracked on its first repro.
"""

import sys
from pathlib import Path

from pipeline import compare, plots, tracking
from pipeline.artifacts import files
from pipeline.config import params
from pipeline.config.settings import Settings
from pipeline.plan import plan_file
from pipeline.run import instances
from pipeline.tracking import live

OUT = tracking.TRACKED
FIGURES = tracking.FIGURES


def run() -> None:
    """Write what the plan holds, draw the figures of what was written, and keep them."""
    settings = params.load()
    plan_file.check(settings)
    live.end()
    try:
        report = tracking.write(Path(), None, tracking.asked_by(settings))
        print(report, file=sys.stderr)  # noqa: T201
        tracking.summarize(Path(), None, settings, _draw(settings))
    except (tracking.TrackingError, plots.PlotError) as error:
        print(f"warning: {error}", file=sys.stderr)  # noqa: T201
    with files.atomic(OUT) as temporary:
        temporary.write_text(tracking.results_digest() + "\n", encoding="utf-8")


def _draw(settings: Settings) -> list[Path]:
    """The files of the figures, and of the tables beside them."""
    store = tracking.read(None, settings.experiment, runs=tracking.held(settings))
    if store.warning:
        print(f"warning: {store.warning}", file=sys.stderr)  # noqa: T201
    drawn = plots.draw(
        store,
        out=FIGURES,
        published=compare.published(store),
        untrained=compare.untrained(store),
    )
    return [file for figure in drawn for file in (figure, figure.with_suffix(".csv"))]


if __name__ == "__main__":
    instances.run_single("track", run)
