"""Give a server a bounded time for every request, whatever it does meanwhile.

MLflow tries a request 8 times, with 120 s each and growing pauses. A server that fails
after its first answers would keep `dvc repro` and its lock waiting for many minutes.
"""

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

PATIENCE_S = 30
"""seconds that one request may take in all, its repetitions included"""
TIMEOUT, RETRIES = "MLFLOW_HTTP_REQUEST_TIMEOUT", "MLFLOW_HTTP_REQUEST_MAX_RETRIES"
LATER = {
    TIMEOUT: "9",
    RETRIES: "2",
    "MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR": "1",
    "MLFLOW_HTTP_RESPECT_RETRY_AFTER_HEADER": "false",
}
"""MLflow's own variables for a request; those that the user has set stay"""
FIRST = {TIMEOUT: "3", RETRIES: "0"}
"""the same for the first request: a server that does not answer it is unreachable"""


class OutOfPatienceError(Exception):
    """A request took too long."""


class Patient:
    """A client whose every method has the same time limit in seconds; 0 = none."""

    def __init__(self, client: object, limit_s: float) -> None:
        self._client = client
        self._limit_s = limit_s

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - whatever the client has
        found = getattr(self._client, name)
        return _limited(found, self._limit_s) if callable(found) else found


def allowed_s() -> float:
    """The time limit of a request; longer if the user's variables allow it more."""
    try:
        asked = int(os.environ[TIMEOUT]) * (
            1 + int(os.environ.get(RETRIES, LATER[RETRIES]))
        )
    except (KeyError, ValueError):
        asked = 0
    return max(PATIENCE_S, asked)


@contextmanager
def limits(values: dict[str, str]) -> Iterator[None]:
    """Set MLflow's variables that are not set, inside the block."""
    new = {name: value for name, value in values.items() if name not in os.environ}
    os.environ.update(new)
    try:
        yield
    finally:
        for name in new:
            del os.environ[name]


@contextmanager
def time_limit(limit_s: float) -> Iterator[None]:
    """Interrupt the block after that many seconds; 0 = never.

    Only the main thread can be interrupted, and only where the system has this alarm.
    Elsewhere MLflow's variables are the limit.

    Raises:
        OutOfPatienceError: when the time is over.
    """
    main = threading.current_thread() is threading.main_thread()
    if not main or not hasattr(signal, "setitimer"):
        yield
        return

    def give_up(_number: int, _frame: FrameType | None) -> None:
        raise OutOfPatienceError(f"no answer within {limit_s:g} s")

    before = signal.signal(signal.SIGALRM, give_up)
    signal.setitimer(signal.ITIMER_REAL, limit_s)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def _limited(method: Callable[..., Any], limit_s: float) -> Callable[..., Any]:
    def call(*args: object, **kwargs: object) -> Any:  # noqa: ANN401
        with time_limit(limit_s):
            return method(*args, **kwargs)

    return call
