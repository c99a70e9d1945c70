"""Open an MLflow store: find it, create it, keep it quiet, and fail fast.

MLflow is imported on first use, because the import takes a second.
"""

import fcntl
import logging
import os
import re
import socket
import textwrap
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from pipeline.border.errors import UserError
from pipeline.border.root import enclosing

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

LOCK = Path(".lt") / "tracking.lock"
ANSWER_S = 3
"""a server that does not answer the first request within this time is unreachable"""
PAGE = 1000


class TrackingError(UserError):
    """The store cannot be used; the message says which, why, and what to do."""


def store_uri(root: Path, uri: str | None = None) -> str:
    """The store to use: ``uri``, else MLFLOW_TRACKING_URI, else mlflow.db in the root.

    In a temporary workspace of ``dvc exp run`` the root is the repository around it:
    a store in the workspace would be deleted with it.
    """
    given = uri or os.environ.get("MLFLOW_TRACKING_URI")
    return given or f"sqlite:///{enclosing(root.resolve()) / 'mlflow.db'}"


def without_password(uri: str) -> str:
    """The URI without its password, so that it may be printed."""
    return re.sub(r"(://[^:/@]*):[^@/]*@", r"\1:***@", uri)


@contextmanager
def opened(uri: str) -> Iterator["MlflowClient"]:
    """A client of the store; a database that does not exist is created.

    Raises:
        TrackingError: the store fails, here or inside the block.
    """
    _quiet()
    try:
        _check_address(uri)
        with _first_answer():
            client = _client(uri)
        yield client
    except Exception as error:
        if not _comes_from_the_store(error):
            raise
        reason = textwrap.shorten(str(error), 160, placeholder=" …")
        raise TrackingError(
            f"the MLflow store {without_password(uri)} cannot be used ({reason}); "
            "results are safe in artifacts/: `lt-pipeline track` writes them again"
        ) from None


@contextmanager
def locked(root: Path) -> Iterator[None]:
    """Let one process of a repository write at a time; a second one waits.

    Two processes that create a database at the same time break each other, and two that
    write the same results would create every run twice.
    """
    path = enclosing(root.resolve()) / LOCK
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def find_runs(client: "MlflowClient", experiment_id: str, query: str) -> list["Run"]:
    """Every run that matches the query, oldest first, without deleted ones."""
    found: list[Run] = []
    token = None
    while True:
        page = client.search_runs(
            [experiment_id],
            query,
            max_results=PAGE,
            order_by=["attributes.start_time ASC", "tags.`mlflow.runName` ASC"],
            page_token=token,
        )
        found += page
        if not (token := page.token):
            return found


def metric_history(client: "MlflowClient", run: "Run", metric: str) -> dict[int, float]:
    """Step -> value of one metric of a run."""
    history = client.get_metric_history(run.info.run_id, metric)
    return {point.step: point.value for point in history}


def sqlite_file(uri: str) -> Path | None:
    """The file of a SQLite URI; None for any other store."""
    if not uri.startswith("sqlite:///"):
        return None
    return Path(uri.removeprefix("sqlite:///"))


def _quiet() -> None:
    # `mlflow run` exports MLFLOW_RUN_ID, which would make every new run that one.
    os.environ.pop("MLFLOW_RUN_ID", None)
    os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
    for name in ("mlflow", "alembic"):
        logging.getLogger(name).setLevel(logging.WARNING)


def _client(uri: str) -> "MlflowClient":
    with warnings.catch_warnings():
        # MLflow and its dependencies deprecate each other while they are imported.
        warnings.simplefilter("ignore")
        from mlflow import MlflowClient

        _quiet()  # importing MLflow sets the level of its loggers
        client = MlflowClient(tracking_uri=uri)
        client.search_experiments(max_results=1)
    return client


@contextmanager
def _first_answer() -> Iterator[None]:
    """Wait briefly for the first request only; a later one may carry a large batch."""
    limits = {
        "MLFLOW_HTTP_REQUEST_TIMEOUT": str(ANSWER_S),
        "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0",
    }
    before = {name: os.environ.get(name) for name in limits}
    os.environ.update(limits)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def _check_address(uri: str) -> None:
    """Try the address of a database first: MLflow would retry for over a minute."""
    parts = urlsplit(uri)
    if file := sqlite_file(uri):
        file.parent.mkdir(parents=True, exist_ok=True)
    elif parts.scheme not in ("http", "https") and parts.hostname and parts.port:
        socket.create_connection((parts.hostname, parts.port), ANSWER_S).close()


def _comes_from_the_store(error: Exception) -> bool:
    from mlflow.exceptions import MlflowException
    from sqlalchemy.exc import SQLAlchemyError

    return isinstance(error, MlflowException | SQLAlchemyError | OSError | ImportError)
