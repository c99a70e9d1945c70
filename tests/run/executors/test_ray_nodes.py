"""Nodes of a cluster come and go; without Ray."""

import os
import sys
from types import SimpleNamespace
from typing import Any

import pytest

from pipeline.config.settings import Resources
from pipeline.run.executors import ExecutorError, ray_nodes
from pipeline.run.executors.ray_nodes import Nodes

ONE = Resources(cpus=1)


class Cluster:
    """Ray's list of nodes, and their answers."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.nodes: dict[str, str | None] = {}
        """id -> what it has otherwise; None = it has not answered"""
        monkeypatch.setattr(ray_nodes, "_alive", self._alive)
        monkeypatch.setattr(ray_nodes, "_hello", lambda number: number)
        monkeypatch.setattr(ray_nodes, "_told", lambda of, is_late: self.nodes.get(of))  # noqa: ARG005

    def _alive(self) -> list[dict[str, Any]]:
        return [
            {"NodeID": one, "NodeManagerHostname": f"host-{one}", "Resources": {"CPU": 2.0}}
            for one in self.nodes
        ]


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> Cluster:
    return Cluster(monkeypatch)


def test_a_node_that_joins_gets_work_once_it_has_said_what_it_has(cluster: Cluster) -> None:
    cluster.nodes = {"a": ""}
    nodes = Nodes("ray")
    nodes.refuse_others()
    assert nodes.slots(ONE) == 2
    cluster.nodes["b"] = None
    assert nodes.look() == []
    assert nodes.slots(ONE) == 2
    cluster.nodes["b"] = ""
    assert nodes.look() == []
    assert nodes.slots(ONE) == 4
    del cluster.nodes["a"]
    nodes.look()
    assert nodes.slots(ONE) == 2


def test_a_node_that_joins_with_other_code_is_told_of_once_and_gets_none(
    cluster: Cluster,
) -> None:
    nodes = Nodes("ray")
    cluster.nodes = {"a": "", "b": "torch 1.0"}
    assert nodes.look() == ["node host-b has torch 1.0"]
    assert nodes.look() == []
    assert nodes.slots(ONE) == 2
    assert nodes.selector() == {"ray.io/node-id": "!in(b)"}
    assert not nodes.refuse("a", "other bits")
    assert nodes.slots(ONE) == 0
    assert nodes.look() == []


def test_a_cluster_that_has_one_at_the_start_is_refused(cluster: Cluster) -> None:
    cluster.nodes = {"a": "", "b": "torch 1.0"}
    with pytest.raises(ExecutorError, match=r"--on ray: node host-b has torch 1\.0; inst"):
        Nodes("ray").refuse_others()


@pytest.mark.parametrize(("wanted", "found"), [(None, "0"), ("1", "1")])
def test_a_cluster_of_this_machine_sends_no_telemetry_unless_the_user_wants_it(
    monkeypatch: pytest.MonkeyPatch, wanted: str | None, found: str
) -> None:
    name = "RAY_USAGE_STATS_ENABLED"
    seen: list[str | None] = []
    begins = SimpleNamespace(init=lambda **_: seen.append(os.environ.get(name)))
    monkeypatch.setitem(sys.modules, "ray", begins)
    environment = {key: value for key, value in os.environ.items() if key != name}
    monkeypatch.setattr(os, "environ", environment | ({name: wanted} if wanted else {}))
    ray_nodes.connect("ray")
    assert seen == [found]
