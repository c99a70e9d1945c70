"""Tasks of a Ray cluster do works; `benchmarks/cluster.py` kills a node of one."""

import socket
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from pipeline.config.settings import Resources
from pipeline.run.executors import ExecutorError, parcels
from pipeline.run.executors.executor import Ended, Told, wait
from pipeline.run.executors.portable import Parcel, UnfitError
from pipeline.run.executors.processes import Notice, Report, Tell

pytest.importorskip("ray", reason="the extra ray is not installed")
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]

from pipeline.run.executors.ray_cluster import RayTasks  # noqa: E402

ROOT = Path(__file__).parents[3]


@dataclass(frozen=True)
class Writes:
    """Work that writes what it reads, and fails where it is told to."""

    error: Exception | None = None

    def run(self, report: Tell, _stop: Callable[[], bool]) -> None:
        if self.error:
            raise self.error
        report(Notice("begun"))
        report(Report(seed=0, step=1, total_steps=1, accuracy=0.5))
        Path("left").mkdir()
        Path("left/a").write_bytes(Path("data").read_bytes() + Path("own").read_bytes())


@dataclass(frozen=True)
class Carried(Writes):
    """The same, packed."""

    needs: Resources = field(default_factory=Resources)
    got: dict[Path, bytes] = field(default_factory=dict)

    def is_done(self, tell: Tell) -> bool:  # noqa: ARG002
        return False

    def parcel(self) -> Parcel:
        return Parcel(
            work=Writes(self.error),
            shared=(Path("data"),),
            files={Path("own"): b"2"},
            leaves=Path("left"),
        )

    def take_in(self, left: Mapping[Path, bytes], tell: Tell) -> None:  # noqa: ARG002
        self.got.update(left)


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    """A cluster of two nodes of one core."""
    from ray.cluster_utils import Cluster

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", f"{ROOT}:{ROOT / 'tests'}:{Path(__file__).parent}")
        few = {"num_cpus": 1, "object_store_memory": 100_000_000}
        head = {**few, "include_dashboard": False}
        cluster = Cluster(initialize_head=True, head_node_args=head)
        cluster.add_node(**few)
        yield cluster
        cluster.shutdown()


@pytest.fixture
def address(cluster: Any) -> str:  # noqa: ANN401 - Ray's
    return str(cluster.address)


@pytest.fixture
def tasks(
    address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[RayTasks]:
    monkeypatch.setenv("RAY_ADDRESS", address)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data").write_bytes(b"1")
    with RayTasks("ray") as found:
        yield found


def told_until(tasks: RayTasks, num: int, notices: int = 0) -> list[Told]:
    """The messages until so many works ended; notices come by another way, and later."""
    told: list[Told] = []
    while (
        sum(isinstance(one, Ended) for _, one in told) < num
        or sum(one == Notice("begun") for _, one in told) < notices
    ):
        told += wait(tasks)
    return told


def test_works_come_back_with_what_they_leave(tasks: RayTasks) -> None:
    works = {name: Carried() for name in "abc"}
    for name, work in works.items():
        tasks.begin(name, work)
    tasks.begin("fails", Carried(UnfitError("other bits")))
    told = told_until(tasks, 4, notices=3)
    for name, work in works.items():
        assert work.got == {Path("left/a"): b"12"}
        assert [one for of, one in told if (of, type(one)) == (name, Ended)] == [Ended()]
    assert told.count(("fails", Notice("other bits"))) == 2, "each node was asked"
    assert ("fails", Ended("other bits")) in told


def test_a_node_that_joins_lets_more_begin(
    tasks: RayTasks,
    cluster: Any,  # noqa: ANN401
) -> None:
    before = tasks.free
    joined = cluster.add_node(num_cpus=8, object_store_memory=100_000_000)
    try:
        while tasks.free == before:
            assert list(wait(tasks)) == [], "it wakes the walk, which begins more"
        assert tasks.free == before + 8
    finally:
        cluster.remove_node(joined)


def test_what_no_node_has_is_refused(tasks: RayTasks) -> None:
    with pytest.raises(ExecutorError, match="no node of ray has cpus: 1, gpus: 1"):
        tasks.begin("a", Carried(needs=Resources(gpus=1.0)))


def test_a_node_with_another_version_is_refused(
    address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAY_ADDRESS", address)
    other = parcels.identity() | {"torch": "1.0"}
    monkeypatch.setattr(parcels, "identity", lambda: other)
    with pytest.raises(ExecutorError, match=r"has torch .*, and this machine has 1\.0"):
        RayTasks("ray").__enter__()


def test_a_cluster_that_cannot_be_reached_is_one_line() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        number = free.getsockname()[1]
    with pytest.raises(ExecutorError, match="the cluster cannot be reached") as caught:
        RayTasks(f"ray://127.0.0.1:{number}").__enter__()
    assert "\n" not in str(caught.value)
