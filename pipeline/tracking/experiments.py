"""Find or make the MLflow experiment, and the address of its comparison view."""

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from pipeline.border.redaction import redacted
from pipeline.border.root import enclosing
from pipeline.tracking.addresses import WEB, TrackingError, sqlite_file
from pipeline.tracking.formats import NOTE
from pipeline.tracking.notes import merged
from pipeline.tracking.saved_view import KEY
from pipeline.tracking.store import find_runs, opened

if TYPE_CHECKING:
    from mlflow import MlflowClient

LOCAL = "http://127.0.0.1:5000"
"""where `mlflow ui` serves the store of the folder it is started in"""


def found(
    client: "MlflowClient",
    name: str,
    tags: Callable[[Mapping[str, str]], Mapping[str, str]],
    *,
    folder: Path | None,
    marks: bool,
) -> str:
    """The number of the experiment, which is made or restored if need be.

    Args:
        client: of the store.
        name: of the experiment.
        tags: those it has so far -> those to set. What people have written into its
            description stays.
        folder: for the files of a new experiment's runs; None = where the server puts them.
        marks: whether the workspace describes the experiment; else only a new one gets
            the tags.

    Raises:
        TrackingError: what answers is no MLflow server.
    """
    known = client.get_experiment_by_name(name)
    if known and known.lifecycle_stage == "deleted":
        client.restore_experiment(known.experiment_id)
    location = None if folder is None else (folder / _plain(name)).as_uri()
    number: str = (
        known.experiment_id
        if known
        else client.create_experiment(name, artifact_location=location)
    )
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


def number_of(client: "MlflowClient", name: str) -> str:
    """The number of an experiment that is there.

    Raises:
        TrackingError: it is not.
    """
    known = client.get_experiment_by_name(name)
    if known is None:
        raise TrackingError(f"no experiment {name!r} in the store; run `lt-pipeline track`")
    return str(known.experiment_id)


def with_chains(uri: str) -> list[str]:
    """The names of the experiments that hold chains, sorted.

    Raises:
        TrackingError: the store cannot be used.
    """
    with opened(uri) as client:
        known = {e.experiment_id: e.name for e in client.search_experiments()}
        query = "tags.kind = 'chain'"
        return sorted(n for i, n in known.items() if find_runs(client, i, query))


def folder_of(uri: str, root: Path) -> Path | None:
    """Where the files of runs lie: beside the database; None for a server's own place.

    MLflow would take the working directory, which may be a temporary one of DVC.
    """
    if uri.partition("://")[0] in WEB or uri.startswith("databricks"):
        return None
    file = sqlite_file(uri)
    return (file.resolve().parent if file else enclosing(root)) / "mlruns"


def is_reachable(artifact_uri: str, uri: str) -> bool:
    """Whether files of a run may be written: not if its database was moved or copied.

    MLflow keeps the whole path of the folder, so a copy would write into the original.
    """
    file = sqlite_file(uri)
    parts = urlsplit(artifact_uri)
    if file is None or parts.scheme not in ("", "file"):
        return True
    return Path(unquote(parts.path)).is_relative_to(file.resolve().parent)


def _plain(name: str) -> str:
    """A name as that of a folder."""
    return re.sub(r"[^\w.-]", "_", name).lstrip(".") or "_"


def view(uri: str, number: str) -> str:
    """The address of the comparison of variants, for a server or for `mlflow ui`."""
    server = uri.rstrip("/") if uri.partition("://")[0] in WEB else LOCAL
    return (
        f"{redacted(server)}/#/experiments/{number}/runs?workflowType=machine_learning"
        f"&compareRunsMode=CHART&viewStateShareKey={KEY}"
    )
