"""Stage ``track``: write results into MLflow and draw the default figures.

    python -m pipeline.stages.track

The artifacts are safe whatever happens here: a store that cannot be reached is a warning,
and `lt-pipeline track` tries again. The output is the hash of what was written; it is
in no cache and not in git, so that a clone is tracked on its first repro.
"""

import hashlib
import sys
from pathlib import Path

from pipeline import compare, plots, tracking
from pipeline.artifacts import files, paths
from pipeline.config import params
from pipeline.plan import compiler, items, places, plan_file
from pipeline.run import instances

OUT = paths.FOLDER / "tracked.txt"
FIGURES = Path("figures")


def run() -> None:
    """Write what the plan holds, then draw the figures of what was written."""
    settings = params.load()
    plan_file.check(settings)
    try:
        report = tracking.track(
            Path(),
            settings.experiment,
            None,
            compiler.active(settings),
            places.places(settings, [settings.seeds]),
            looks=settings.declared_looks,
        )
        print(report, file=sys.stderr)  # noqa: T201
        store = tracking.read(None, settings.experiment, runs=tracking.held(settings))
        if store.warning:
            print(f"warning: {store.warning}", file=sys.stderr)  # noqa: T201
        plots.draw(
            store,
            out=FIGURES,
            published=compare.published(store),
            untrained=compare.untrained(store),
        )
    except (tracking.TrackingError, plots.PlotError) as error:
        print(f"warning: {error}", file=sys.stderr)  # noqa: T201
    content = hashlib.sha256(items.FILE.read_bytes())
    for folder, _ in files.results():
        content.update((folder / "result.json").read_bytes())
    for file in sorted((paths.FOLDER / "lines").glob("*/*/*/s*/lines.*")):
        content.update(file.read_bytes())
    with files.atomic(OUT) as temporary:
        temporary.write_text(content.hexdigest() + "\n", encoding="utf-8")


if __name__ == "__main__":
    instances.run_single("track", run)
