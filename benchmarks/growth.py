"""Measure how planning, the walk and recording grow with the number of stages.

    python benchmarks/growth.py --out growth.json

Each experiment is planned and run by ``lt-pipeline run`` in a fresh clone, and run again
with nothing to do: LeNet-300-100 on digits, a ticket and two controls in 7 rounds, for 1 to
18 tasks that differ in their learning rate, which makes 62 to 1,048 stages. Trainings have
1 step, so that what remains is what is beside training. The last experiment has more seeds
instead of more stages.

Seconds are given with the processor time of each part, which other work on the machine
moves less: of the driver (plan, walk), of DVC alone, of the stages that DVC starts, and of
the process that writes into MLflow meanwhile. About 20 minutes, of which the largest
experiment takes 10.
"""

import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from copy import deepcopy
from dataclasses import asdict, dataclass, field
from pathlib import Path
from threading import Event, Thread

import clone
import measuring
import overheads
import psutil
from measuring import Goal, Report

from pipeline.plan import items

SIZES = ((1, 1), (3, 1), (9, 1), (18, 1), (3, 6))
"""numbers of tasks and of seeds"""
ROUNDS = 7
LOOK_S = 0.1
"""between two looks at the processes"""
PARTS = ("driver", "walk's workers", "dvc", "stages", "MLflow meanwhile")
SERVED = {
    "pipeline.run.stage_server": "stages",
    "pipeline.tracking.live": "MLflow meanwhile",
}
"""processes beside that of ``lt-pipeline run``, by their module"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """One experiment."""

    stages: int
    trainings: int
    seeds: int
    plan_s: float
    """``lt-pipeline plan``"""
    walk_s: float
    """from the start of ``lt-pipeline run`` until it becomes dvc"""
    record_s: float
    """from then to its end"""
    track_s: float
    """of that, the stage that completes the MLflow store"""
    again_s: float
    """``dvc repro`` with nothing to do"""
    cpu_s: dict[str, float]
    """of ``lt-pipeline run``, by part"""

    def __str__(self) -> str:
        """One line of the table."""
        shown = [
            f"{self.stages:6,}",
            f"{self.trainings:9,}",
            *(f"{s:8.1f}" for s in (self.plan_s, self.walk_s, self.record_s)),
            *(f"{s:8.1f}" for s in (self.track_s, self.again_s)),
            *(f"{1000 * self.cpu_s['dvc'] / self.stages:8.0f}",),
            *(f"{1000 * self.cpu_s['driver'] / self.trainings:8.1f}",),
        ]
        return " ".join(shown)


HEAD = (
    "stages trainings     plan     walk   record   (track)   again  DVC ms/stage  "
    "driver ms/training"
)


def settings_for(tasks: int, seeds: int, rounds: int = ROUNDS) -> clone.Params:
    """The experiment: 2 + 8 stages per task and round, and 4 for the whole."""
    settings = overheads.repro_settings(rounds) | {"seeds": list(range(seeds))}
    task = settings["tasks"].pop("main")
    for number in range(tasks):
        one = settings["tasks"][f"task-{number}"] = deepcopy(task)
        one["train"] |= {"engine": "reference", "steps": 1, "evaluate_every": 1}
        one["train"]["lr"] = 0.001 + 0.0001 * number  # else trained once for all
    for variant in settings["variants"].values():
        variant["tasks"] = list(settings["tasks"])
    return settings


@dataclass(kw_only=True)
class Watched:
    """The processor time of a process and of those that serve it, until it ends."""

    pid: int
    cpu_s: dict[str, float] = field(default_factory=lambda: dict.fromkeys(PARTS, 0.0))
    became_dvc: float = 0.0
    """when, by ``time.monotonic``"""
    _end: Event = field(default_factory=Event)
    _served: dict[int, tuple[str, psutil.Process]] = field(default_factory=dict)
    _used: dict[int, tuple[str, float]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Begin to look."""
        self._process = psutil.Process(self.pid)
        self._thread = Thread(target=self._look)
        self._thread.start()

    def end(self) -> None:
        """The process has ended."""
        self._end.set()
        self._thread.join()
        for part, used in self._used.values():
            self.cpu_s[part] += used

    def _look(self) -> None:
        walk, looks = 0.0, 0
        while not self._end.wait(LOOK_S):
            with suppress(psutil.NoSuchProcess):
                used = self._process.cpu_times()
                own = used.user + used.system
                if "pipeline.launch.dvc" in self._process.cmdline():
                    self.became_dvc = self.became_dvc or time.monotonic()
                    self.cpu_s["dvc"] = own - walk
                    children = used.children_user + used.children_system
                    self._used[self.pid] = "stages", children
                elif not self.became_dvc:
                    self.cpu_s["driver"] = walk = own
                    for child in self._process.children(recursive=True):
                        one = child.cpu_times()
                        self._used[child.pid] = "walk's workers", one.user + one.system
            if looks % 10 == 0:
                self._find_served()
            looks += 1
            for number, (part, process) in self._served.items():
                with suppress(psutil.NoSuchProcess):
                    self._used[number] = part, sum(process.cpu_times()[:4])

    def _find_served(self) -> None:
        for process in psutil.process_iter():
            with suppress(psutil.Error):
                words = process.cmdline()
                if str(self.pid) in words:
                    for module in SERVED.keys() & set(words):
                        self._served.setdefault(process.pid, (SERVED[module], process))


def run(root: Path) -> tuple[Watched, dict[str, float]]:
    """``lt-pipeline run``, and when each stage began."""
    process = clone.begun(root)
    watched = Watched(pid=process.pid)
    began: dict[str, float] = {}
    assert process.stdout is not None
    said = ""
    for line in process.stdout:
        said += line
        if line.startswith("Running stage"):
            began[line.split("'")[1]] = time.monotonic()
    code = process.wait()
    watched.end()
    if code:
        raise RuntimeError(f"lt-pipeline run failed:\n{said}")
    return watched, began


def measure(root: Path, tasks: int, seeds: int, rounds: int = ROUNDS) -> Row:
    """One experiment in a new folder."""
    clone.make(root, settings_for(tasks, seeds, rounds))
    clone.run(root, ["git", "init", "--quiet"])
    clone.run(root, clone.python("pipeline.cli", "--help"))  # compiles the package
    plan_s = measuring.wall(
        lambda: clone.run(root, clone.python("pipeline.cli", "plan", "--force"))
    )
    begin = time.monotonic()
    watched, began = run(root)
    ended = time.monotonic()
    after = [when for when in began.values() if when > began["track"]]
    plan = items.read(root)
    assert plan is not None
    found = list(items.items_of(plan))
    again_s = measuring.wall(lambda: clone.run(root, clone.python("dvc", "repro")))
    return Row(
        stages=len(found) + 3,  # plan, results, track
        trainings=sum(len(one.seeds) for one in found if one.kind.trains is not None),
        seeds=seeds,
        plan_s=plan_s,
        walk_s=watched.became_dvc - begin,
        record_s=ended - watched.became_dvc,
        track_s=min(after, default=ended) - began["track"],
        again_s=again_s,
        cpu_s={part: round(used, 2) for part, used in watched.cpu_s.items()},
    )


def rows(sizes: tuple[tuple[int, int], ...]) -> Iterator[Row]:
    """All of them, each in a new clone, after a small one that fills the user's caches."""
    with tempfile.TemporaryDirectory(prefix="lt-benchmark-") as folder:
        root = Path(folder) / "clone"
        measure(root, 1, 1, rounds=1)
        for tasks, seeds in sizes:
            shutil.rmtree(root)
            yield measure(root, tasks, seeds)


def goals(found: list[Row]) -> list[Goal]:
    """Costs per stage and per training do not grow with the number of stages."""
    of_one_seed = [row for row in found if row.seeds == 1]
    first, last = of_one_seed[0], of_one_seed[-1]

    def ratio(of: str, per: str) -> float:
        many, few = (row.cpu_s[of] / getattr(row, per) for row in (last, first))
        return float(many / max(few, 1e-9))

    what = f"{last.stages} stages against {first.stages}"
    return [
        Goal(
            what=f"DVC per stage, {what}", goal=3, measured=ratio("dvc", "stages"), unit="×"
        ),
        Goal(
            what=f"driver per training, {what}",
            goal=1,
            measured=ratio("driver", "trainings"),
            unit="×",
        ),
    ]


def main() -> None:
    """Measure, print, and save the table and its figure."""
    options = measuring.parser(__doc__)
    options.add_argument("--largest", type=int, default=SIZES[-2][0], help="tasks")
    asked = options.parse_args()
    begin = time.monotonic()
    print(HEAD)
    found = []
    for row in rows(tuple(one for one in SIZES if one[0] <= asked.largest)):
        found.append(row)
        print(row, flush=True)
    report = measuring.save(
        asked.out, begin, goals=goals(found), rows=[asdict(row) for row in found]
    )
    plot(found, report, asked.out.with_suffix(".png"))


def plot(found: list[Row], report: Report, file: Path) -> None:
    """Processor time by part, and wall time, against the number of stages."""
    with measuring.figure(file, width=9.6) as drawn:
        left, right = drawn.subplots(1, 2)
        shown = [row for row in found if row.seeds == 1]
        stages = [row.stages for row in shown]
        for part in PARTS:
            left.plot(stages, [row.cpu_s[part] for row in shown], marker="o", label=part)
        for name in ("plan_s", "walk_s", "record_s", "again_s"):
            times = [getattr(row, name) for row in shown]
            right.plot(stages, times, marker="o", label=name.removesuffix("_s"))
        for axes in (left, right):
            axes.set(xlabel="stages", xscale="log", yscale="log")
            axes.legend(fontsize="small")
        left.set(ylabel="seconds of processor time")
        right.set(ylabel="seconds")
        drawn.suptitle(measuring.machine_line(report), fontsize="medium")


if __name__ == "__main__":
    main()
