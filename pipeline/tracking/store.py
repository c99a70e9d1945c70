"""Open an MLflow store: find it, create it, keep it quiet, and fail fast.

MLflow is imported on first use, because the import takes a second.
"""

import logging
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, cast

from pipeline.border.locks import lock
from pipeline.border.root import enclosing
from pipeline.tracking.addresses import (
    SQLITE,
    TrackingError,
    refuse_unreachable,
    sqlite_file,
    usable,
)
from pipeline.tracking.patience import (
    FIRST,
    LATER,
    PATIENCE,
    OutOfPatienceError,
    Patient,
    allowed_s,
    limits,
    make_postgresql_patient,
)
from pipeline.tracking.refusals import refusal

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

LOCK = Path(".lt") / "tracking.lock"
PAGE = 1000


@contextmanager
def opened(uri: str) -> Iterator["MlflowClient"]:
    """A client of the store; a database that does not exist is created.

    Raises:
        TrackingError: the store fails, here or inside the block.
    """
    _quiet()
    address, allowed = usable(uri), allowed_s()
    try:
        if file := sqlite_file(address):
            _create(file)
        else:
            refuse_unreachable(address)
        with limits(FIRST):
            client = _client(address, allowed)
        with limits(LATER):
            yield client
    except (Exception, OutOfPatienceError) as error:
        if not _comes_from_the_store(error):
            raise
        raise TrackingError(refusal(uri, error)) from None


@contextmanager
def locked(root: Path) -> Iterator[None]:
    """Let one process of a repository write at a time; a second one waits.

    Two processes that create a database at the same time break each other, and two that
    write the same results would create every run twice.
    """
    path = enclosing(root) / LOCK
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as opened:
        lock(opened, wait=True)
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


def is_there(client: "MlflowClient", run_id: str) -> bool:
    """Whether a run exists and is not deleted."""
    from mlflow.exceptions import MlflowException

    try:
        return bool(client.get_run(run_id).info.lifecycle_stage == "active")
    except MlflowException as error:
        if error.error_code == "RESOURCE_DOES_NOT_EXIST":
            return False
        raise


def metric_history(client: "MlflowClient", run: "Run", metric: str) -> dict[int, float]:
    """Step -> value of one metric of a run."""
    history = client.get_metric_history(run.info.run_id, metric)
    return {point.step: point.value for point in history}


def _quiet() -> None:
    # `mlflow run` exports MLFLOW_RUN_ID, which would make every new run that one.
    os.environ.pop("MLFLOW_RUN_ID", None)
    os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
    for name in ("mlflow", "alembic"):
        logging.getLogger(name).setLevel(logging.WARNING)


def _create(file: Path) -> None:
    """Create a database under another name first: a reader of a half-made one breaks it."""
    if file.exists():
        return
    file.parent.mkdir(parents=True, exist_ok=True)
    temporary = file.with_name(f".{file.name}.{os.getpid()}.tmp")
    try:
        _client(f"{SQLITE}{temporary}", 0)
        temporary.replace(file)
    finally:
        temporary.unlink(missing_ok=True)


def _client(uri: str, allowed: float) -> "MlflowClient":
    """A client whose store has answered; it may take so many seconds in all from now on."""
    with warnings.catch_warnings():
        # MLflow and its dependencies deprecate each other while they are imported.
        warnings.simplefilter("ignore")
        from mlflow import MlflowClient

        _quiet()  # importing MLflow sets the level of its loggers
        if sqlite_file(uri):  # which is slow at times, and never silent
            return _asked(MlflowClient(tracking_uri=uri))
        make_postgresql_patient()
        with PATIENCE.waiting(allowed):
            client = _asked(MlflowClient(tracking_uri=uri))
    return cast("MlflowClient", Patient(client, allowed))


def _asked(client: "MlflowClient") -> "MlflowClient":
    """The same client, whose store has answered."""
    client.search_experiments(max_results=1)
    return client


def _comes_from_the_store(error: BaseException) -> bool:
    from mlflow.exceptions import MlflowException
    from sqlalchemy.exc import SQLAlchemyError

    known = MlflowException | SQLAlchemyError | OSError | ImportError | OutOfPatienceError
    return isinstance(error, known)
