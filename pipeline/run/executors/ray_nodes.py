"""The nodes of a Ray cluster: reach it, see which nodes come and go, and what they have.

Only nodes with this machine's code and versions get work. A cluster that has others at the
start is refused; one that joins later costs a line, and gets no work.
"""

import os
import socket
import time
from collections.abc import Mapping
from typing import Any

from pipeline.config.settings import Resources
from pipeline.run.executors import ExecutorError, parcels
from pipeline.run.executors.processes import THREAD_VARIABLES

CONNECT_S = 10.0
"""until a cluster that does not answer is unreachable"""
HELLO_S = 180.0
"""until a node that does not say what it has installed is unreachable"""
LOOK_S = 0.1
"""between two looks at nodes that have not answered"""
Node = Mapping[str, Any]
"""as Ray describes it"""


def connect(on: str) -> None:
    """Connect this process to the cluster.

    Args:
        on: ``ray://host:port``, or ``ray``: the cluster of ``RAY_ADDRESS``, or of this
            machine, or else one of this machine alone, which ends with the connection.

    Raises:
        ExecutorError: if it cannot be reached, or does not let this process in.
    """
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")  # else it warns
    # A cluster that Ray starts here would send statistics of its use to Ray's makers.
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
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
            f"--on {on}: the cluster cannot be reached ({line(error)}); nothing was "
            "begun, and `dvc repro` trains here"
        ) from None


class Nodes:
    """The nodes that get work."""

    def __init__(self, on: str) -> None:
        """Nothing is known of them yet.

        Args:
            on: the cluster that this process is connected to, for messages.
        """
        self._on = on
        self._fit: list[Node] = []
        self._asked: dict[str, tuple[Any, float]] = {}
        """id -> the answer to come, and when it is late"""
        self.unfit: dict[str, str] = {}
        """id -> why a node gets no work"""
        self._said: set[str] = set()
        """ids of those of which it was told"""

    def refuse_others(self) -> None:
        """Look at them, and refuse a cluster with a node that has other code or versions.

        Raises:
            ExecutorError: with one line about the first of them.
        """
        while True:
            for why in self.look():
                raise ExecutorError(f"--on {self._on}: {why}; install the same there")
            if not self._asked:
                return
            time.sleep(LOOK_S)

    def look(self) -> list[str]:
        """See which nodes are there now, and ask those that have joined what they have.

        Waits for no answer: a node gets work after a look that finds it.

        Returns:
            A line on each node that is newly known to be unfit.
        """
        there = {one["NodeID"]: one for one in _alive()}
        fit = {one["NodeID"] for one in self._fit}
        for number in there.keys() - fit - self.unfit.keys() - self._asked.keys():
            self._asked[number] = _hello(number), time.monotonic() + HELLO_S
        for number, (answer, late) in list(self._asked.items()):
            found = _told(answer, is_late=time.monotonic() > late)
            if found is not None:
                del self._asked[number]
            if number in there and found == "":
                fit.add(number)
            elif number in there and found:
                host = there[number]["NodeManagerHostname"]
                self.unfit[number] = f"node {host} has {found}"
        told = [why for number, why in self.unfit.items() if number not in self._said]
        self._said |= self.unfit.keys()
        self._fit = [one for number, one in there.items() if number in fit]
        return told

    def refuse(self, number: str, why: str) -> bool:
        """Give a node no more work; whether others are left."""
        self.unfit[number] = why
        self._said.add(number)
        self._fit = [one for one in self._fit if one["NodeID"] != number]
        return bool(self._fit)

    def slots(self, needs: Resources) -> int:
        """How many works of these needs all nodes can do at once."""
        return sum(slots(node, needs) for node in self._fit)

    def selector(self) -> dict[str, str]:
        """The options of Ray that keep a task from unfit nodes; empty without them."""
        return {"ray.io/node-id": f"!in({','.join(self.unfit)})"} if self.unfit else {}


def _alive() -> list[Node]:
    """The nodes that are alive and have processors for work."""
    import ray

    return [one for one in ray.nodes() if one["Alive"] and one["Resources"].get("CPU")]


def _hello(number: str) -> Any:  # noqa: ANN401 - Ray's
    """Ask a node what it has installed."""
    import ray
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    there = NodeAffinitySchedulingStrategy(number, soft=False)
    ask = ray.remote(num_cpus=0, max_retries=0)(_identity)
    return ask.options(scheduling_strategy=there).remote()


def _told(answer: Any, *, is_late: bool) -> str | None:  # noqa: ANN401
    """The differences of a node from this machine; empty if none, None before it says.

    An answer that fails or is late says that it has nothing that answers.
    """
    import ray

    if not is_late and not ray.wait([answer], timeout=0)[0]:
        return None
    try:
        return parcels.differences(parcels.identity(), ray.get(answer, timeout=0))
    except Exception as error:  # no package, no answer, a node that has gone
        return f"nothing that answers ({line(error)})"


def _identity() -> Mapping[str, Any]:
    """The versions and code that a node has installed."""
    return parcels.identity()


def slots(node: Node, needs: Resources) -> int:
    """How many works of these needs a node can do at once.

    >>> slots({"Resources": {"CPU": 8.0, "GPU": 1.0}}, Resources(cpus=1, gpus=0.25))
    4
    """
    has = node["Resources"]
    asked = {
        "CPU": needs.cpus,
        "GPU": needs.gpus or 0,
        "memory": (needs.memory_gb or 0) * 1e9,
    }
    return min(int(has.get(name, 0) / one + 1e-9) for name, one in asked.items() if one)


def line(error: BaseException) -> str:
    """An error of Ray's, which may have a page of text, in a line."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return " ".join(lines[-1:] if len(lines) > 3 else lines)[:200] or type(error).__name__
