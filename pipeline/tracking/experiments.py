"""Find or make the MLflow experiment, and the address of its comparison view."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from pipeline.border.redaction import redacted
from pipeline.tracking.addresses import WEB, TrackingError
from pipeline.tracking.formats import NOTE
from pipeline.tracking.notes import merged
from pipeline.tracking.saved_view import KEY

if TYPE_CHECKING:
    from mlflow import MlflowClient

LOCAL = "http://127.0.0.1:5000"
"""where `mlflow ui` serves the store of the folder it is started in"""


def found(
    client: "MlflowClient",
    name: str,
    tags: Callable[[Mapping[str, str]], Mapping[str, str]],
    *,
    marks: bool,
) -> str:
    """The number of the experiment, which is made or restored if need be.

    Args:
        client: of the store.
        name: of the experiment.
        tags: those it has so far -> those to set. What people have written into its
            description stays.
        marks: whether the workspace describes the experiment; else only a new one gets
            the tags.

    Raises:
        TrackingError: what answers is no MLflow server.
    """
    known = client.get_experiment_by_name(name)
    if known and known.lifecycle_stage == "deleted":
        client.restore_experiment(known.experiment_id)
    number: str = known.experiment_id if known else client.create_experiment(name)
    if not number:
        raise TrackingError(
            "what answers at the store's address is no MLflow server: it gives an "
            "experiment no number; check MLFLOW_TRACKING_URI, or --uri"
        )
    before = known.tags if known else {}
    if marks or not known:
        ours = tags(before)
        wanted = {**ours, NOTE: merged(before.get(NOTE, ""), ours[NOTE])}
        for key, value in wanted.items():
            if before.get(key) != value:
                client.set_experiment_tag(number, key, value)
    return number


def view(uri: str, number: str) -> str:
    """The address of the comparison of variants, for a server or for `mlflow ui`."""
    server = uri.rstrip("/") if uri.partition("://")[0] in WEB else LOCAL
    return (
        f"{redacted(server)}/#/experiments/{number}/runs?workflowType=machine_learning"
        f"&compareRunsMode=CHART&viewStateShareKey={KEY}"
    )
