"""Track results in MLflow: ``track`` writes them into a store, ``read`` gives tables.

One run per chain (a variant on a task with one seed) and one child run per round; one run
per analysis and seed, with one child run per place; one run per approximation and seed,
with one child run per target. MLflow is a view: ``track`` can
rebuild it from the result files at any time.
"""

from pipeline.tracking import shared_tables
from pipeline.tracking.addresses import TrackingError, store_uri
from pipeline.tracking.choice import Runs, asked_for
from pipeline.tracking.held import Held, held
from pipeline.tracking.read import TrackedStore, read, read_all
from pipeline.tracking.summary import (
    FIGURES,
    TRACKED,
    figures_of_results,
    note_drawn,
    results_digest,
    summarize,
)
from pipeline.tracking.write import TrackReport, asked_by, track, write

__all__ = [
    "FIGURES",
    "TRACKED",
    "Held",
    "Runs",
    "TrackReport",
    "TrackedStore",
    "TrackingError",
    "asked_by",
    "asked_for",
    "figures_of_results",
    "held",
    "note_drawn",
    "read",
    "read_all",
    "results_digest",
    "shared_tables",
    "store_uri",
    "summarize",
    "track",
    "write",
]
