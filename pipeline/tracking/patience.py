"""Limit the total time that a command waits for a server.

MLflow tries a request 8 times, with 120 s each and growing pauses. A server that fails
after its first answers, or answers slowly again and again, would keep `dvc repro` and its
lock waiting for many minutes.
"""

import importlib
import importlib.util
import os
import select
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

PATIENCE_S = 25
"""seconds that a server may keep a command waiting in all: half a minute with the
command's own start, and with the last answer, for which there is always ``USUAL_S``"""
USUAL_S = 3.0
"""an answer within this time is no waiting, so that any number of them may come"""
TIMEOUT, RETRIES = "MLFLOW_HTTP_REQUEST_TIMEOUT", "MLFLOW_HTTP_REQUEST_MAX_RETRIES"
LATER = {
    TIMEOUT: "7",
    RETRIES: "2",
    "MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR": "1",
    "MLFLOW_HTTP_RESPECT_RETRY_AFTER_HEADER": "false",
}
"""MLflow's own variables for a request; those that the user has set stay"""
FIRST = {TIMEOUT: "3", RETRIES: "0"}
"""the same for the first request: a server that does not answer it is unreachable"""
AGAIN_S = 1.0
"""so long may libraries tidy up, which may wait for the same server once more"""


class OutOfPatienceError(BaseException):
    """A server took too long; no ``Exception``, on which MLflow would try once more."""


class Patience:
    """How long servers have kept this process waiting, and how long they still may."""

    def __init__(self) -> None:
        """Nobody has waited yet."""
        self._waited_s = 0.0

    def renew(self) -> None:
        """Forget it, as for another command."""
        self._waited_s = 0.0

    @contextmanager
    def waiting(self, allowed_s: float) -> Iterator[None]:
        """Let the block have what is left of the time that is allowed in all.

        Raises:
            OutOfPatienceError: when that is over.
        """
        began = time.monotonic()
        try:
            with time_limit(max(allowed_s - self._waited_s, USUAL_S), allowed_s):
                yield
        finally:
            self._waited_s += max(time.monotonic() - began - USUAL_S, 0.0)


PATIENCE = Patience()
"""that of this process, for whatever it asks of servers"""


class Patient:
    """A client whose methods are waited for only so long, in seconds in all."""

    def __init__(self, client: object, allowed_s: float) -> None:
        self._client = client
        self._allowed_s = allowed_s

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - whatever the client has
        found = getattr(self._client, name)
        return _patient(found, self._allowed_s) if callable(found) else found


def allowed_s() -> float:
    """The time in all; longer if the user's variables allow one request more."""
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
def time_limit(limit_s: float, allowed_s: float) -> Iterator[None]:
    """Interrupt the block after the first time, and say that it was the second in all.

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
        raise OutOfPatienceError(f"no answer, after {allowed_s:g} s of waiting in all")

    before = signal.signal(signal.SIGALRM, give_up)
    signal.setitimer(signal.ITIMER_REAL, limit_s, AGAIN_S)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def make_postgresql_patient() -> None:
    """Let psycopg2 wait in Python: where it waits by itself, no alarm reaches it."""
    if importlib.util.find_spec("psycopg2"):
        importlib.import_module("psycopg2.extensions").set_wait_callback(_wait)


def _wait(connection: Any) -> None:  # noqa: ANN401 - psycopg2 has no types
    """Wait until a connection of psycopg2 has its answer."""
    states = importlib.import_module("psycopg2.extensions")
    while (state := connection.poll()) != states.POLL_OK:
        number = [connection.fileno()]
        reads = state == states.POLL_READ
        select.select(number if reads else [], [] if reads else number, [])


def _patient(method: Callable[..., Any], allowed_s: float) -> Callable[..., Any]:
    def call(*args: object, **kwargs: object) -> Any:  # noqa: ANN401
        with PATIENCE.waiting(allowed_s):
            return method(*args, **kwargs)

    return call
