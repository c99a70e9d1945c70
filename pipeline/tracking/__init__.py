"""Result files -> MLflow, and back: ``track`` projects, ``read`` gives tables."""

from pipeline.tracking.project import TrackReport, track
from pipeline.tracking.read import TrackedStore, read, read_all
from pipeline.tracking.store import TrackingError, store_uri

__all__ = [
    "TrackReport",
    "TrackedStore",
    "TrackingError",
    "read",
    "read_all",
    "store_uri",
    "track",
]
