"""Simulate 10,000 trainings on 100 nodes: where does the driver become the limit?

    python benchmarks/simulation.py --out simulation.json [--growth growth.json]

The driver is the process of ``lt-pipeline run --on ray``: it makes masks and starts, packs
each training, and takes in what comes back. First, what it does per training is done for
a small experiment (LeNet-300-100 for images of 28 × 28, a ticket and two controls) and
timed, in processor seconds: looking whether it is done, packing, taking in. Then the real
``Walk`` of the large experiment is driven with executors that only tell the time, on a
clock that adds those costs, and the processor time that the walk itself takes, to the
length of trainings. The same walk with a driver that costs nothing is what it is compared
with.

Ray's own costs are those of empty tasks with the same bytes, where Ray is installed. With
the report of ``growth.py``, the time that recording takes is told, too. About 3 minutes.
"""

import argparse
import heapq
import io
import json
import os
import pickle
import tempfile
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, redirect_stderr
from dataclasses import asdict, dataclass, field
from importlib.util import find_spec
from itertools import count
from pathlib import Path
from statistics import median
from typing import Any, Self

import clone
import measuring
import overheads
from measuring import Report

from pipeline.artifacts import files
from pipeline.artifacts.paths import SHADOW
from pipeline.config import params
from pipeline.config.settings import Settings
from pipeline.core import seeding
from pipeline.plan import compiler
from pipeline.run import live
from pipeline.run.executors import cores, parcels
from pipeline.run.executors.executor import Ended, Told
from pipeline.run.executors.ray_cluster import WAITING
from pipeline.run.sources import Source
from pipeline.walk import graph as graphs
from pipeline.walk.driver import Walk
from pipeline.walk.edits import Edits
from pipeline.walk.graph import Graph
from pipeline.walk.view import View
from pipeline.walk.works import Trains

TRAININGS, NODES, SLOTS = 10_000, 100, (1, 4)
"""wanted; nodes; trainings that a node does at once"""
ROUNDS = 20
LENGTHS = (1.0, 3.0, 10.0, 30.0, 100.0)
"""seconds of a training"""
SPREAD = 0.2
"""trainings take up to so much more or less than their length"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Costs:
    """Seconds of the driver's processor."""

    begin_s: float
    """per training: look whether it is done, pack it, give it to Ray"""
    take_s: float
    """per training: get it from Ray, write and check its files"""
    made_s: float
    """per mask or start, of one of the driver's cores"""


FREE = Costs(begin_s=0.0, take_s=0.0, made_s=0.0)


@dataclass(kw_only=True)
class Clock:
    """The time of a simulation, and what is to happen."""

    free: bool
    """whether the driver costs nothing"""
    now: float = 0.0
    driver_s: float = 0.0
    """that the driver has worked"""
    _ahead: list[tuple[float, int, str, "Timed"]] = field(default_factory=list)
    _number: Iterator[int] = field(default_factory=count)
    _left: float = field(default_factory=time.process_time)

    def spend(self, seconds: float) -> None:
        """Let the driver work."""
        if not self.free:
            self.now += seconds
            self.driver_s += seconds

    @contextmanager
    def called(self) -> Iterator[None]:
        """The walk calls an executor: what it did since the last call took time."""
        self.spend(time.process_time() - self._left)
        yield
        self._left = time.process_time()

    def end_at(self, when: float, name: str, of: "Timed") -> None:
        """Let a piece of work end then."""
        heapq.heappush(self._ahead, (when, next(self._number), name, of))

    def wait(self) -> None:
        """Let time pass until something has ended."""
        if self._ahead:
            self.now = max(self.now, self._ahead[0][0])

    def ended(self, of: "Timed") -> list[str]:
        """The works of an executor that have ended by now."""
        kept, names = [], []
        while self._ahead and self._ahead[0][0] <= self.now:
            one = heapq.heappop(self._ahead)
            if one[-1] is of:
                names.append(one[2])
            else:
                kept.append(one)
        for one in kept:
            heapq.heappush(self._ahead, one)
        return names


@dataclass(kw_only=True, eq=False)
class Timed:
    """An executor that only tells the time."""

    clock: Clock
    slots: int
    queued: int
    """works more that may wait there for a slot"""
    begin_s: float
    take_s: float
    lengths: Iterator[float]
    lets_time_pass: bool
    """true of the one that is asked first"""
    channels: tuple[()] = ()
    _running: int = 0
    _ends: list[float] = field(default_factory=list)
    """of each slot, when it will be free"""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None: ...

    @property
    def free(self) -> int:
        """How many works may be begun."""
        return self.slots + self.queued - self._running

    def begin(self, name: str, _work: object) -> None:
        """Begin it in the slot that is free first."""
        with self.clock.called():
            self.clock.spend(self.begin_s)
            begins = self.clock.now
            if len(self._ends) == self.slots:
                begins = max(begins, heapq.heappop(self._ends))
            ends = begins + next(self.lengths)
            heapq.heappush(self._ends, ends)
            self.clock.end_at(ends, name, self)
            self._running += 1

    def told(self, _ready: object) -> Iterable[Told]:
        """The works that have ended."""
        with self.clock.called():
            if self.lets_time_pass:
                self.clock.wait()
            ended = self.clock.ended(self)
        for name in ended:
            self._running -= 1
            self.clock.spend(self.take_s)
            yield name, Ended()


class Simulated(Walk):
    """A walk without what it does once: trying engines, finding the numerics class."""

    def _engine(self, source: Source) -> str:
        return source.engine

    def _class(self, source: Source, seed: int) -> str | None:
        return f"{source.engine}-{seed}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """One simulated walk."""

    slots: int
    """of all nodes"""
    length_s: float
    """of a training"""
    walk_s: float
    free_s: float
    """with a driver that costs nothing"""
    driver_s: float
    """that it works"""

    @property
    def times(self) -> float:
        """How many times as long the walk takes as with that driver."""
        return self.walk_s / self.free_s


def simulate(
    settings: Settings, graph: Graph, costs: Costs, *, slots: int, length_s: float
) -> Clock:
    """Walk a plan on a clock."""
    clock = Clock(free=costs is FREE)
    draw = seeding.generator(0, "score_batch")
    spread = iter(lambda: length_s * float(draw.uniform(1 - SPREAD, 1 + SPREAD)), None)
    made = iter(lambda: costs.made_s, None)
    num = cores.available_cores()
    here = Timed(
        clock=clock,
        slots=num,
        queued=0,
        begin_s=0.0,
        take_s=0.0,
        lengths=made,
        lets_time_pass=True,
    )
    trainer = Timed(
        clock=clock,
        slots=slots,
        queued=max(WAITING, slots // 4),
        begin_s=costs.begin_s,
        take_s=costs.take_s,
        lengths=spread,
        lets_time_pass=False,
    )
    with redirect_stderr(io.StringIO()), View(graph.num_trainings) as view:
        Simulated(
            settings=settings,
            graph=graph,
            here=here,
            trainer=trainer,
            view=view,
            resolved=None,
            edits=Edits(inputs={}),
        ).run((), at_once=num)
    return clock


def experiment(seeds: int, rounds: int) -> clone.Params:
    """A ticket and two controls: three trainings per round and seed, and the dense one."""
    settings = overheads.repro_settings(rounds) | {"seeds": list(range(seeds))}
    settings["tasks"]["main"]["data"] = "mnist"
    settings["tasks"]["main"]["train"] |= {"engine": "reference", "steps": 1}
    settings["tasks"]["main"]["train"]["evaluate_every"] = 1
    return settings


@contextmanager
def inside(root: Path) -> Iterator[Settings]:
    """Work in a clone, whose settings are given."""
    before = Path.cwd()
    os.chdir(root)
    try:
        yield params.load()
    finally:
        os.chdir(before)


@dataclass(kw_only=True, eq=False)
class Measured:
    """An executor that does everything at once, as a cluster's does, and takes the time."""

    seconds: dict[str, list[float]]
    free: int = 1
    channels: tuple[()] = ()
    num_bytes: list[int] = field(default_factory=list)
    """that a training brings back"""
    _told: list[Told] = field(default_factory=list)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None: ...

    @contextmanager
    def _timed(self, what: str) -> Iterator[None]:
        begin = time.process_time()
        yield
        self.seconds[what].append(time.process_time() - begin)

    def begin(self, name: str, work: Any) -> None:  # noqa: ANN401 - of two kinds
        """Do it."""
        if isinstance(work, Trains):
            with self._timed("begin_s"):
                assert not work.is_done(self._ignore)
                parcel = work.parcel()
                pickle.dumps(parcel)
            shared = {path: path.absolute() for path in parcel.shared}
            left = parcels.do(parcel, shared, self._ignore)
            self.num_bytes.append(sum(len(content) for content in left.values()))
            with self._timed("take_s"):
                work.take_in(left, self._ignore)
        else:
            with self._timed("made_s"):
                work.run(self._ignore, lambda: False)
        self._told.append((name, Ended()))

    def told(self, _ready: object) -> Iterable[Told]:
        """The works that have ended."""
        told, self._told = self._told, []
        return told

    def _ignore(self, _: object) -> None: ...


def measure(root: Path, *, rounds: int, seeds: int) -> tuple[Costs, Report]:
    """The costs of the driver per training, measured on all that it does itself."""
    clone.make(root, experiment(seeds, rounds), measuring.random_data((600, 120, 120)))
    found = Measured(seconds={"begin_s": [], "take_s": [], "made_s": []})
    with inside(root) as settings, redirect_stderr(io.StringIO()) as said:
        plan = compiler.compile_plan(settings, [settings.seeds])
        graph = graphs.graph(settings, plan, {"data@mnist"}, ())
        with View(graph.num_trainings) as view:
            Walk(
                settings=settings,
                graph=graph,
                here=found,
                trainer=Measured(seconds=found.seconds, num_bytes=found.num_bytes),
                view=view,
                resolved=params.resolved() if live.is_on() else None,
                edits=Edits(inputs={}),
            ).run((), at_once=1)
        files.remove(SHADOW)
    if len(found.seconds["take_s"]) != graph.num_trainings:
        raise RuntimeError(said.getvalue())
    each = {what: median(seconds) for what, seconds in found.seconds.items()}
    return Costs(**each), {"bytes": median(found.num_bytes), "trainings": len(graph.nodes)}


def of_ray(num_bytes: int, num: int = 300) -> tuple[float, float]:
    """Processor seconds of this process per task: to give it, and to get its bytes."""
    if find_spec("ray") is None:
        return 0.0, 0.0
    import ray

    ray.init(num_cpus=1, log_to_driver=False, logging_level="error")
    try:
        packed = ray.remote(lambda refs: bytes(len(ray.get(refs[0]))))
        ray.get(packed.remote([ray.put(b"1")]))
        begin = time.process_time()
        refs = [packed.remote([ray.put(bytes(num_bytes))]) for _ in range(num)]
        given = time.process_time()
        while refs:
            ready, _ = ray.wait(refs, num_returns=1, timeout=0.5)
            ray.get(ready)
            refs = [ref for ref in refs if ref not in ready]
        return (given - begin) / num, (time.process_time() - given) / num
    finally:
        ray.shutdown()


def main() -> None:
    """Measure the costs, simulate, print, save, draw."""
    options = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    options.add_argument("--out", type=Path, required=True, help="FILE.json; a PNG beside")
    options.add_argument("--growth", type=Path, help="the report of growth.py")
    options.add_argument("--trainings", type=int, default=TRAININGS)
    asked = options.parse_args()
    begin = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="lt-benchmark-") as name:
        root = Path(name) / "clone"
        own, facts = measure(root, rounds=3, seeds=2)
        ray_s = of_ray(int(facts["bytes"]))
        costs = Costs(
            begin_s=own.begin_s + ray_s[0],
            take_s=own.take_s + ray_s[1],
            made_s=own.made_s,
        )
        print(costs, f"of which Ray {ray_s}", flush=True)
        seeds = round(asked.trainings / (1 + 3 * ROUNDS))
        clone.write_params(root, experiment(seeds, ROUNDS))
        with inside(root) as settings:
            plan = compiler.compile_plan(settings, [settings.seeds])
            graph = graphs.graph(settings, plan, {"data@mnist"}, ())
            rows = list(_rows(settings, graph, costs))
    stages = sum(len(items) for items in plan.values()) + 3
    recording = _recording(asked.growth, stages, graph.num_trainings)
    report = measuring.save(
        asked.out,
        begin,
        costs=asdict(costs),
        ray=ray_s,
        rows=[asdict(row) for row in rows],
        trainings=graph.num_trainings,
        stages=stages,
        recording=recording,
        measured=facts,
    )
    plot(rows, report, asked.out.with_suffix(".png"))


def _rows(settings: Settings, graph: Graph, costs: Costs) -> Iterator[Row]:
    print("slots  training      walk   free driver  times   driver busy")
    for per_node in SLOTS:
        for length in LENGTHS:
            slots = NODES * per_node
            real = simulate(settings, graph, costs, slots=slots, length_s=length)
            free = simulate(settings, graph, FREE, slots=slots, length_s=length)
            row = Row(
                slots=slots,
                length_s=length,
                walk_s=real.now,
                free_s=free.now,
                driver_s=real.driver_s,
            )
            print(
                f"{slots:5,} {length:8g} s {row.walk_s:8.0f} s {row.free_s:11.0f} s "
                f"{row.times:6.2f} {row.driver_s / row.walk_s:10.0%}",
                flush=True,
            )
            yield row


def _recording(growth: Path | None, stages: int, trainings: int) -> Report | None:
    """Seconds that ``dvc repro`` would record, by what ``growth.py`` has measured."""
    if growth is None:
        return None
    rows = json.loads(growth.read_text(encoding="utf-8"))["rows"]
    more = next(row for row in rows if row["seeds"] > 1)
    same = next(r for r in rows if r["seeds"] == 1 and r["stages"] == more["stages"])
    per_training = (more["record_s"] - same["record_s"]) / (
        more["trainings"] - same["trainings"]
    )
    per_stage = same["record_s"] / same["stages"]
    seconds = per_stage * stages + per_training * trainings
    print(f"{stages} stages with {trainings:,} trainings are recorded in {seconds:.0f} s")
    return {"s": seconds, "per_stage_s": per_stage, "per_training_s": per_training}


def plot(rows: list[Row], report: Report, file: Path) -> None:
    """Time of the walk, in that with a driver that costs nothing."""
    with measuring.figure(file) as drawn:
        axes = drawn.subplots()
        for slots in dict.fromkeys(row.slots for row in rows):
            of = [row for row in rows if row.slots == slots]
            axes.plot(
                [row.length_s for row in of],
                [row.times for row in of],
                marker="o",
                label=f"{NODES} nodes, {slots:,} trainings at once",
            )
        axes.axhline(1, color="grey", linestyle=":")
        axes.set(
            xscale="log",
            yscale="log",
            xlabel="seconds of a training",
            ylabel="time of the walk (1: a driver that costs nothing)",
        )
        axes.legend()
        title = f"{report['trainings']:,} trainings\n{measuring.machine_line(report)}"
        axes.set_title(title, fontsize="medium")


if __name__ == "__main__":
    main()
