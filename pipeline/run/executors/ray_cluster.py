"""Let a Ray cluster do pieces of work: one task per piece.

Nodes share no folder with this machine. A task gets its work with the files that it reads,
data sets once per node through the object store, and gives back the files that it leaves.
Ray does a task again whose node is lost. What comes back is taken in as it comes, so that
nothing finished is lost with this process.
"""

import math
import os
import signal
import socket
import threading
import time
from collections.abc import Collection, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Self

from pipeline.config.settings import Resources
from pipeline.run.executors import ExecutorError, parcels
from pipeline.run.executors.executor import Ended, Told, ended_by
from pipeline.run.executors.mailbox import Mailbox
from pipeline.run.executors.portable import Parcel, Portable, UnfitError
from pipeline.run.executors.processes import THREAD_VARIABLES, Notice, Report

CONNECT_S = 10.0
"""until a cluster that does not answer is unreachable"""
HELLO_S = 180.0
"""until a node that does not say what it has installed is unreachable"""
POLL_S = 0.5
LOOK_S = 5.0
"""between two looks at the nodes: they come and go"""
REPORT_S = 2.0
"""between two reports of a training"""
RETRIES = 3
"""times that a task is done again because its node was lost"""
WAITING = 4
"""tasks at least that wait on the cluster, so that no node waits for this machine"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Outcome:
    """What a task gives back."""

    ended: Ended
    left: Mapping[Path, bytes] = field(default_factory=dict)
    last: Report | None = None
    unfit: str = ""
    """the node, where it cannot do such work"""


class Post:
    """An actor that keeps what works tell until this machine asks for it."""

    def __init__(self) -> None:
        """Empty."""
        self._told: list[Told] = []

    def put(self, name: str, told: Report | Notice) -> None:
        """Keep it."""
        self._told.append((name, told))

    def take(self) -> list[Told]:
        """All of it."""
        found, self._told = self._told, []
        return found


@dataclass(kw_only=True, slots=True)
class _Running:
    name: str
    work: Portable
    packed: Any
    """reference to the parcel in the object store"""
    shared: dict[Path, tuple[str, Any]]
    """path -> digest and reference of each shared file"""


class RayTasks:
    """Tasks on a Ray cluster; a context."""

    def __init__(self, on: str) -> None:
        """Connect.

        Args:
            on: ``ray://host:port``, or ``ray``: the cluster of ``RAY_ADDRESS``, or of this
                machine, or else one of this machine alone, which ends with the context.

        Raises:
            ExecutorError: if there is none, or a node has another version of anything.
        """
        self._on = on
        self._running: dict[Any, _Running] = {}
        self._unfit: dict[str, str] = {}
        self._stored: dict[tuple[Path, int], tuple[str, Any]] = {}
        self._mail = Mailbox()
        self._end = threading.Event()
        self._lock = threading.Lock()
        self._lost = ""
        self._needs = Resources(gpus=0.0)
        self._nodes: list[dict[str, Any]] = []
        self._thread = threading.Thread(target=self._listen, daemon=True)

    def __enter__(self) -> Self:
        import ray

        self._sigterm = signal.getsignal(signal.SIGTERM)  # Ray sets its own
        _connect(self._on)
        try:
            self._nodes = _nodes()
            self._refuse_others()
            self._post = ray.remote(num_cpus=0, max_restarts=-1)(Post).remote()
            self._task = ray.remote(max_retries=RETRIES)(_do)
        except BaseException:
            self._close()
            raise
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        self._thread.join()
        self._close()

    def _close(self) -> None:
        import ray

        ray.shutdown()
        signal.signal(signal.SIGTERM, self._sigterm)
        self._mail.close()

    @property
    def free(self) -> int:
        """How many works may be begun: a few more than the cluster can do at once."""
        slots = sum(_slots(node, self._needs) for node in self._nodes)
        return slots + max(WAITING, slots // 4) - len(self._running)

    def begin(self, name: str, work: Portable) -> None:
        """Give a work to the cluster.

        Raises:
            ExecutorError: if no node has what it takes.
        """
        import ray

        self._needs = work.needs
        if not any(_slots(node, work.needs) for node in self._nodes):
            raise ExecutorError(f"no node of {self._on} has {_said(work.needs)}")
        if work.is_done(lambda told: self._mail.put((name, told))):
            self._mail.put((name, Ended()))
            return
        parcel = work.parcel()
        shared = {path: self._stored_once(path) for path in parcel.shared}
        self._submit(_Running(name=name, work=work, packed=ray.put(parcel), shared=shared))

    @property
    def channels(self) -> list[Connection]:
        """One for all tasks."""
        return [self._mail.channel]

    def told(self, ready: Collection[object]) -> Iterable[Told]:  # noqa: ARG002
        """What tasks tell.

        Raises:
            ExecutorError: if the cluster is lost.
        """
        yield from self._mail.take()
        if self._lost:
            raise ExecutorError(
                f"--on {self._on}: the cluster is lost ({self._lost}); what is finished "
                "is kept: run it again, or `dvc repro` without a cluster"
            )

    def _submit(self, one: _Running) -> None:
        needs = one.work.needs
        asked: dict[str, Any] = {
            "num_cpus": needs.cpus,
            "num_gpus": needs.gpus or 0,
            "memory": int((needs.memory_gb or 0) * 1e9) or None,
        }
        if self._unfit:
            asked["label_selector"] = {"ray.io/node-id": f"!in({','.join(self._unfit)})"}
        ref = self._task.options(**asked).remote(
            one.name, [one.packed], one.shared, self._post
        )
        with self._lock:
            self._running[ref] = one

    def _stored_once(self, path: Path) -> tuple[str, Any]:
        import ray

        key = path, path.stat().st_mtime_ns
        if key not in self._stored:
            content = path.read_bytes()
            self._stored[key] = parcels.digest_of(content), ray.put(content)
        return self._stored[key]

    def _refuse_others(self) -> None:
        """Refuse a cluster with a node that has other code or other versions.

        Raises:
            ExecutorError: with one line about the first of them.
        """
        import ray
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

        here, hello = parcels.identity(), ray.remote(num_cpus=0, max_retries=0)(_identity)
        there = [
            hello.options(
                scheduling_strategy=NodeAffinitySchedulingStrategy(
                    node["NodeID"], soft=False
                )
            ).remote()
            for node in self._nodes
        ]
        for node, ref in zip(self._nodes, there, strict=True):
            host = node["NodeManagerHostname"]
            try:
                found = parcels.differences(here, ray.get(ref, timeout=HELLO_S))
            except Exception as error:  # no package, no answer, a node that has gone
                found = f"nothing that answers ({_line(error)})"
            if found:
                raise ExecutorError(
                    f"--on {self._on}: node {host} has {found}; install the same there"
                )

    def _listen(self) -> None:
        """Take in what comes from the cluster, until the end."""
        looked = 0.0
        try:
            while not self._end.is_set():
                self._collect()
                if time.monotonic() - looked > LOOK_S:
                    self._nodes, looked = _nodes(), time.monotonic()
        except Exception as error:  # Ray's own, of many kinds
            self._lost = _line(error)
            self._mail.put(("", Notice(f"{self._on}: {self._lost}")))

    def _collect(self) -> None:
        import ray

        with self._lock:
            refs = list(self._running)
        ready: list[Any] = []
        if refs:
            ready, _ = ray.wait(refs, num_returns=1, timeout=POLL_S)
            more, _ = ray.wait(refs, num_returns=len(refs), timeout=0)
            ready = list(dict.fromkeys([*ready, *more]))
        else:
            self._end.wait(POLL_S)
        with suppress(ray.exceptions.RayActorError, ray.exceptions.GetTimeoutError):
            self._mail.put(*ray.get(self._post.take.remote(), timeout=LOOK_S))
        for ref in ready:
            with self._lock:
                one = self._running.pop(ref)
            self._take_in(one, ref)

    def _take_in(self, one: _Running, ref: Any) -> None:  # noqa: ANN401 - Ray's
        """Leave what a task has done, or have it done on another node."""
        import ray

        try:
            outcome: Outcome = ray.get(ref)
        except ray.exceptions.RayError as error:
            line = f"the cluster lost it {1 + RETRIES} times ({_line(error)})"
            self._mail.put((one.name, Ended(line, vanished=True)))
            return
        if outcome.unfit:
            self._unfit[outcome.unfit] = outcome.ended.error
            self._mail.put((one.name, Notice(outcome.ended.error)))
            if any(node["NodeID"] not in self._unfit for node in self._nodes):
                self._submit(one)
                return
        ended = outcome.ended
        if not ended.error:
            ended = self._left(one, outcome)
        last = [(one.name, outcome.last)] if outcome.last else []
        self._mail.put(*last, (one.name, ended))

    def _left(self, one: _Running, outcome: Outcome) -> Ended:
        try:
            one.work.take_in(outcome.left, lambda told: self._mail.put((one.name, told)))
        except Exception as error:
            return ended_by(error)
        return Ended()


def _do(
    name: str,
    packed: list[Any],
    shared: Mapping[Path, tuple[str, Any]],
    post: Any,  # noqa: ANN401
) -> Outcome:
    """Do a work on a node."""
    import ray

    said = _Said(name=name, post=post)
    try:
        parcel: Parcel = ray.get(packed[0])
        files = {
            path: parcels.shared_file(digest, partial(ray.get, ref))
            for path, (digest, ref) in shared.items()
        }
        left = parcels.do(parcel, files, said)
    except UnfitError as error:
        node = ray.get_runtime_context().get_node_id()
        return Outcome(ended=ended_by(error), unfit=node)
    except Exception as error:
        return Outcome(ended=ended_by(error), last=said.last)
    return Outcome(ended=Ended(), left=left, last=said.last)


@dataclass(kw_only=True, slots=True)
class _Said:
    """Sends what a work tells, and not every report."""

    name: str
    post: Any
    last: Report | None = None
    sent: float = -math.inf

    def __call__(self, told: Report | Notice) -> None:
        if isinstance(told, Report):
            self.last = told
            if time.monotonic() - self.sent < REPORT_S:
                return
            self.sent = time.monotonic()
        self.post.put.remote(self.name, told)


def _identity() -> dict[str, Any]:
    """What a node has installed."""
    return parcels.identity()


def _connect(on: str) -> None:
    """Connect this process to the cluster.

    Raises:
        ExecutorError: if it cannot be reached, or does not let this process in.
    """
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")  # else it warns
    import ray

    address = on.partition("://")[2]
    try:
        if address:
            host, _, port = address.rpartition(":")
            socket.create_connection((host, int(port)), timeout=CONNECT_S).close()
        ray.init(
            address=on if address else None,
            log_to_driver=False,
            logging_level="error",
            runtime_env={"env_vars": dict.fromkeys(THREAD_VARIABLES, "1")},
        )
    except Exception as error:
        raise ExecutorError(
            f"--on {on}: the cluster cannot be reached ({_line(error)}); nothing was "
            "begun, and `dvc repro` trains here"
        ) from None


def _nodes() -> list[dict[str, Any]]:
    """The nodes that are alive and have processors for work."""
    import ray

    return [one for one in ray.nodes() if one["Alive"] and one["Resources"].get("CPU")]


def _slots(node: Mapping[str, Any], needs: Resources) -> int:
    """How many works of these needs a node can do at once.

    >>> _slots({"Resources": {"CPU": 8.0, "GPU": 1.0}}, Resources(cpus=1, gpus=0.25))
    4
    """
    has = node["Resources"]
    asked = {
        "CPU": needs.cpus,
        "GPU": needs.gpus or 0,
        "memory": (needs.memory_gb or 0) * 1e9,
    }
    return min(int(has.get(name, 0) / one + 1e-9) for name, one in asked.items() if one)


def _said(needs: Resources) -> str:
    """Resources in words.

    >>> _said(Resources(cpus=2, gpus=0.5))
    'cpus: 2, gpus: 0.5'
    """
    asked = {"cpus": needs.cpus, "gpus": needs.gpus, "memory_gb": needs.memory_gb}
    return ", ".join(f"{name}: {value:g}" for name, value in asked.items() if value)


def _line(error: BaseException) -> str:
    """An error of Ray's, which may have a page of text, in a line."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return " ".join(lines[-1:] if len(lines) > 3 else lines)[:200] or type(error).__name__


def opened(on: str, num: int, preload: Iterable[str]) -> RayTasks:  # noqa: ARG001
    """The cluster that ``--on`` names."""
    return RayTasks(on)
