"""The way to an MLflow store: found, created once, quiet, and quick to fail.

MLflow is imported on first use, because that takes a second.
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
"""a server that gives no first answer for so long counts as unreachable"""
PAGE = 1000


class TrackingError(UserError):
    """The store cannot be used; one line that says which, why, and what to do."""


def store_uri(root: Path, uri: str | None = None) -> str:
    """The store to use: ``uri``, else MLFLOW_TRACKING_URI, else mlflow.db in the root.

    A temporary workspace of ``dvc exp run`` uses the repository's around it: its own
    would be lost with the folder.
    """
    given = uri or os.environ.get("MLFLOW_TRACKING_URI")
    return given or f"sqlite:///{enclosing(root.resolve()) / 'mlflow.db'}"


def without_password(uri: str) -> str:
    """The URI as it may be printed."""
    return re.sub(r"(://[^:/@]*):[^@/]*@", r"\1:***@", uri)


@contextmanager
def opened(uri: str) -> Iterator["MlflowClient"]:
    """A client of the store, created where it is a new database.

    Raises:
        TrackingError: for whatever goes wrong with the store inside the block.
    """
    _quiet()
    try:
        _check_address(uri)
        with _first_answer():
            client = _client(uri)
        yield client
    except Exception as error:
        if not _is_of_the_store(error):
            raise
        reason = textwrap.shorten(str(error), 160, placeholder=" …")
        raise TrackingError(
            f"the MLflow store {without_password(uri)} cannot be used ({reason}); "
            "results are safe in artifacts/: `lt-pipeline track` projects them again"
        ) from None


@contextmanager
def locked(root: Path) -> Iterator[None]:
    """One projection at a time per repository; a second one waits.

    Two processes that create a database at once break each other, and two that project
    the same results would write every run twice.
    """
    path = enclosing(root.resolve()) / LOCK
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def find_runs(client: "MlflowClient", experiment_id: str, query: str) -> list["Run"]:
    """Every run that matches, oldest first, over all pages; deleted ones are not."""
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


def sqlite_file(uri: str) -> Path | None:
    """The file behind a SQLite URI, None for any other store."""
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
    """Short patience for the first request only: a long one may be a large batch."""
    patience = {
        "MLFLOW_HTTP_REQUEST_TIMEOUT": str(ANSWER_S),
        "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0",
    }
    before = {name: os.environ.get(name) for name in patience}
    os.environ.update(patience)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def _check_address(uri: str) -> None:
    """Databases are tried before MLflow does, which repeats for a minute and more."""
    parts = urlsplit(uri)
    if file := sqlite_file(uri):
        file.parent.mkdir(parents=True, exist_ok=True)
    elif parts.scheme not in ("http", "https") and parts.hostname and parts.port:
        socket.create_connection((parts.hostname, parts.port), ANSWER_S).close()


def _is_of_the_store(error: Exception) -> bool:
    from mlflow.exceptions import MlflowException
    from sqlalchemy.exc import SQLAlchemyError

    return isinstance(error, MlflowException | SQLAlchemyError | OSError | ImportError)
