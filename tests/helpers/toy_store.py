"""The toy experiment of the tracking tests: write its results, find its runs."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from helpers import synthetic, tracked
from pipeline.tracking import TrackReport, track

if TYPE_CHECKING:
    from mlflow.entities import Run

EXPERIMENT = "toy"


def write(root: Path, **plan: Any) -> TrackReport:  # noqa: ANN401 - as synthetic.active
    """Write the results of a plan into the default store."""
    return track(root, EXPERIMENT, None, synthetic.active(**plan))


def runs(root: Path, query: str = "") -> list["Run"]:
    """The runs of the experiment that match the query."""
    return tracked.runs(root, EXPERIMENT, query)


def only(root: Path, name: str) -> "Run":
    """The only run of that name."""
    (run,) = [r for r in runs(root) if r.info.run_name == name]
    return run
