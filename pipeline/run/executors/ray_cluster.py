"""Let a Ray cluster do pieces of work: one task per piece.

Nodes share no folder with this machine. A task gets its work with the files that it reads,
data sets once per node through the object store, and gives back the files that it leaves.
Ray does a task again whose node is lost. What comes back is taken in as it comes, so that
nothing finished is lost with this process.
"""

import math
import platform
import signal
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
from pipeline.run.executors import ExecutorError, parcels, ray_nodes
from pipeline.run.executors.executor import Ended, Told, ended_by, ended_elsewhere
from pipeline.run.executors.mailbox import Mailbox
from pipeline.run.executors.portable import Parcel, Portable, UnfitError
from pipeline.run.executors.processes import Notice, Report
from pipeline.run.executors.ray_nodes import Nodes, line

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
    """The answer of a task."""

    ended: Ended
    left: Mapping[Path, bytes] = field(default_factory=dict)
    last: Report | None = None
    fault: tuple[Notice, ...] = ()
    """what the user has to see of a fault of ours"""
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
            on: which cluster, as ``ray_nodes.connect`` takes it.

        Raises:
            ExecutorError: if there is none, or a node has another version of anything.
        """
        self._on = on
        self._running: dict[Any, _Running] = {}
        self._nodes = Nodes(on)
        self._stored: dict[tuple[Path, int], tuple[str, Any]] = {}
        self._mail = Mailbox()
        self._end = threading.Event()
        self._lock = threading.Lock()
        self._lost = ""
        self._needs = Resources(gpus=0.0)
        self._met: set[Resources] = set()
        """what nodes have had: should they be lost, others may join"""
        self._thread = threading.Thread(target=self._listen, daemon=True)

    def __enter__(self) -> Self:
        import ray

        self._sigterm = signal.getsignal(signal.SIGTERM)  # Ray sets its own
        ray_nodes.connect(self._on)
        try:
            self._nodes.refuse_others()
            self._here = parcels.identity()
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
        slots = self._nodes.slots(self._needs)
        return slots + max(WAITING, slots // 4) - len(self._running)

    def begin(self, name: str, work: Portable) -> None:
        """Give a work to the cluster.

        Raises:
            ExecutorError: if no node has what it takes.
        """
        import ray

        self._needs = work.needs
        if self._nodes.slots(work.needs):
            self._met.add(work.needs)
        if work.needs not in self._met:
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
        """The messages of tasks.

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
        if selector := self._nodes.selector():
            asked["label_selector"] = selector
        ref = self._task.options(**asked).remote(
            one.name, [one.packed], one.shared, self._post, self._here
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

    def _listen(self) -> None:
        """Take in what comes from the cluster, until the end."""
        looked = 0.0
        try:
            while not self._end.is_set():
                self._collect()
                if time.monotonic() - looked > LOOK_S:
                    self._look()
                    looked = time.monotonic()
        except Exception as error:  # Ray's own, of many kinds
            self._lost = line(error)
            self._mail.put(("", Notice(f"{self._on}: {self._lost}")))

    def _look(self) -> None:
        """See which nodes are there; the walk hears of it, and begins what it can."""
        before = self._nodes.slots(self._needs)
        told = [f"{why}; it gets no work" for why in self._nodes.look()]
        now = self._nodes.slots(self._needs)
        if before and not now:
            told.append(
                f"{self._on}: no node is left that has {_said(self._needs)}; this "
                "waits until one joins, and Ctrl-C ends it"
            )
        self._mail.put(*(("", Notice(one)) for one in told))
        if now > before:
            self._mail.wake()

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
            self._look()  # one that has just joined may be without the package
            why = f"the cluster lost it {1 + RETRIES} times ({line(error)})"
            self._mail.put((one.name, Ended(why, vanished=True)))
            return
        if outcome.unfit:
            self._mail.put((one.name, Notice(outcome.ended.error)))
            if self._nodes.refuse(outcome.unfit, outcome.ended.error):
                self._submit(one)
                return
        ended = outcome.ended
        if not ended.error:
            ended = self._left(one, outcome)
        fault = [(one.name, notice) for notice in outcome.fault]
        last = [(one.name, outcome.last)] if outcome.last else []
        self._mail.put(*fault, *last, (one.name, ended))

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
    here: Mapping[str, Any],
) -> Outcome:
    """Do a work on a node."""
    import ray

    said = _Said(name=name, post=post)
    try:
        _refuse_other_code(here)
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
        fault: list[Notice] = []
        ended = ended_elsewhere(error, fault.append)
        return Outcome(ended=ended, last=said.last, fault=tuple(fault))
    return Outcome(ended=Ended(), left=left, last=said.last)


def _refuse_other_code(here: Mapping[str, Any]) -> None:
    """Refuse to work where another version is installed: the node has joined since.

    Raises:
        UnfitError: with one line.
    """
    if found := parcels.differences(here, parcels.identity()):
        raise UnfitError(f"node {platform.node()} has {found}; it gets no work")


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


def _said(needs: Resources) -> str:
    """Resources in words.

    >>> _said(Resources(cpus=2, gpus=0.5))
    'cpus: 2, gpus: 0.5'
    """
    asked = {"cpus": needs.cpus, "gpus": needs.gpus, "memory_gb": needs.memory_gb}
    return ", ".join(f"{name}: {value:g}" for name, value in asked.items() if value)


def opened(on: str, num: int, preload: Iterable[str]) -> RayTasks:  # noqa: ARG001
    """The cluster that ``--on`` names."""
    return RayTasks(on)
