"""Seeds side by side: two workers against one, and what a worker takes of the machine.

    python benchmarks/workers.py --out workers.json

LeNet-300-100 on MNIST with our preset's 15,000 steps: the whole ``train`` stage of two
seeds, as DVC starts it, with ``workers: 2`` and with ``workers: 1``, in turns; the ratio of
the medians of their wall times. The trainings alone, as the timing files have them, stand
beside it: the rest is starting processes. Then workers are asked, after their work, what
their threads have done, and for the peak of their memory. About 3 minutes on 2 idle cores.
"""

import json
import os
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import clone
import measuring
import torch
from measuring import Goal, Report

from pipeline.artifacts import files, paths
from pipeline.artifacts.paths import DENSE, Instance
from pipeline.config import params
from pipeline.run import kept
from pipeline.run.executors import preloads, processes
from pipeline.run.kept import places
from pipeline.run.seeds_work import SeedsWork
from pipeline.run.sources import Source

SEEDS = (0, 1)
ALLOWED = 0.56


@dataclass(frozen=True, kw_only=True, slots=True)
class Probe:
    """The work of a worker, who then writes down what its process is like."""

    work: SeedsWork
    out: Path

    def run(self, report: processes.Tell, stop: Callable[[], bool]) -> None:
        """Work, then look."""
        self.work.run(report, stop)
        facts = {
            "torch_threads": torch.get_num_threads(),
            "peak_rss_mb": _peak_rss_mb(),
            "threads": _threads(),
        }
        self.out.write_text(json.dumps(facts), encoding="utf-8")


def _peak_rss_mb() -> float:
    lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    (peak,) = [line.split()[1] for line in lines if line.startswith("VmHWM:")]
    return int(peak) / 1024


def _threads() -> list[Report]:
    """Name and CPU seconds of each thread of this process; the first is the main one.

    Libraries start threads that sleep (pyarrow's allocator and pools), so that what they
    have done counts, not how many they are.
    """
    found = []
    for task in sorted(Path("/proc/self/task").iterdir(), key=lambda path: int(path.name)):
        name, _, rest = (task / "stat").read_text(encoding="utf-8").rpartition(") ")
        fields = rest.split()  # from the third on, see proc(5)
        ticks = int(fields[11]) + int(fields[12])
        seconds = ticks / os.sysconf("SC_CLK_TCK")
        found.append({"name": name.partition("(")[2], "cpu_s": seconds})
    return found


def main() -> None:
    """Measure, print, and save the table and its figure."""
    options = measuring.parser(__doc__)
    options.add_argument("--steps", type=int, default=15_000)
    options.add_argument("--repeats", type=int, default=3)
    options.add_argument("--engine", default="dense")
    arguments = options.parse_args()
    torch.set_num_threads(1)
    begin = time.monotonic()
    data, source = measuring.load(arguments.data_root)
    settings = settings_for(steps=arguments.steps, engine=arguments.engine)
    with tempfile.TemporaryDirectory(prefix="lt-benchmark-") as folder:
        root = Path(folder) / "clone"
        clone.make(root, settings, data)
        clone.run(root, clone.python("pipeline.stages.init", "main-s0-1"))
        rows = measure(root, settings, repeats=arguments.repeats)
        facts = probe(root, arguments.engine, SEEDS)
    found = summary(rows)
    report = measuring.save(
        arguments.out,
        begin,
        goals=goals(found, facts),
        rows=rows,
        **found,
        workers=facts,
        data=source,
        engine=arguments.engine,
        steps=arguments.steps,
        repeats=arguments.repeats,
    )
    plot(rows, report, arguments.out.with_suffix(".png"))


def settings_for(*, steps: int, engine: str, data: str = "mnist") -> clone.Params:
    """The preset for two seeds."""
    return clone.preset(
        "mnist-lenet",
        rounds=1,
        seeds=list(SEEDS),
        tasks__main__data=data,
        tasks__main__train__steps=steps,
        tasks__main__train__evaluate_every=min(steps, measuring.PAPER_CADENCE),
        tasks__main__train__engine=engine,
    )


def measure(root: Path, settings: clone.Params, *, repeats: int) -> list[Report]:
    """The stage with one and with two workers, in turns; one row per run."""
    rows = []
    train(root, settings | {"workers": 2})  # compile, read the data once
    for _ in range(repeats):
        for at_once in (1, 2):
            rows.append(train(root, settings | {"workers": at_once}))
            print(
                f"{at_once} at once: {rows[-1]['wall_s']:.2f} s, "
                f"trainings {', '.join(f'{s:.2f} s' for s in rows[-1]['trainings_s'])}",
                flush=True,
            )
    return rows


def train(root: Path, settings: clone.Params) -> Report:
    """Run the stage once, from nothing."""
    clone.write_params(root, settings)
    command = clone.python("pipeline.stages.train", "main-s0-1")
    wall_s = measuring.wall(lambda: clone.run(root, command))
    timing = files.load_json(root / paths.timing_file(_instance(SEEDS)))
    return {
        "workers": settings["workers"],
        "wall_s": wall_s,
        "trainings_s": [seed["seconds"] for seed in timing["seeds"].values()],
    }


def _instance(seeds: tuple[int, ...]) -> Instance:
    return Instance(task="main", variant=DENSE, round=0, seeds=seeds)


def probe(root: Path, engine: str, seeds: tuple[int, ...]) -> list[Report]:
    """Train these seeds, two at once, in workers that tell about themselves."""
    before = Path.cwd()
    os.chdir(root)  # as a stage: paths are relative to the root
    files.remove(places.DEFAULT)
    try:
        settings = params.load()
        source = Source(
            label=_instance(seeds).path,
            seeds=seeds,
            task=settings.tasks["main"],
            data=paths.data_file(settings.tasks["main"].data),
            engine=engine,
            metric="at-end",
            starts=paths.theta0_folder("main", seeds),
            masks=None,
            round=0,
        )
        probes = [
            Probe(
                work=SeedsWork(source=source, copy=0, seeds=(seed,), kept=kept.asked()),
                out=root / f"probe-{seed}.json",
            )
            for seed in seeds
        ]
        preload = preloads.module_for(engine, source.network())
        processes.run_all(probes, at_once=2, preload=preload, watch=lambda _: None)
    finally:
        os.chdir(before)
    return [files.load_json(one.out) for one in probes]


def summary(rows: list[Report]) -> dict[str, float]:
    """Medians, and the ratios of two workers to one."""
    wall = {n: median(r["wall_s"] for r in rows if r["workers"] == n) for n in (1, 2)}
    alone = {
        1: median(sum(r["trainings_s"]) for r in rows if r["workers"] == 1),
        2: median(max(r["trainings_s"]) for r in rows if r["workers"] == 2),
    }
    return {
        "serial_s": wall[1],
        "parallel_s": wall[2],
        "ratio": wall[2] / wall[1],
        "ratio_of_trainings": alone[2] / alone[1],
    }


def goals(found: Mapping[str, float], facts: Sequence[Report]) -> list[Goal]:
    """What the issue asks for."""
    return [
        Goal(
            what="2 seeds on 2 workers",
            goal=ALLOWED,
            measured=found["ratio"],
            unit="× serial",
        ),
        Goal(
            what="the trainings alone",
            goal=ALLOWED,
            measured=found["ratio_of_trainings"],
            unit="× serial",
        ),
        Goal(
            what="torch threads of a worker",
            goal=1,
            measured=max(one["torch_threads"] for one in facts),
            unit="threads",
        ),
        Goal(
            what="work of a worker's other threads",
            goal=0.05,
            measured=max(_elsewhere(one["threads"]) for one in facts),
            unit="of its CPU time",
        ),
    ]


def _elsewhere(threads: Sequence[Report]) -> float:
    seconds: list[float] = [thread["cpu_s"] for thread in threads]
    return sum(seconds[1:]) / max(sum(seconds), 1e-9)


def plot(rows: list[Report], report: Report, file: Path) -> None:
    """Wall time of each run."""
    with measuring.figure(file) as drawn:
        axes = drawn.subplots()
        for at_once in (1, 2):
            seconds = [row["wall_s"] for row in rows if row["workers"] == at_once]
            axes.bar(str(at_once), median(seconds), width=0.6)
            axes.plot([str(at_once)] * len(seconds), seconds, "k.")
        axes.set(xlabel="workers", ylabel="seconds for two seeds")
        axes.set_title(
            f"{report['steps']:,} steps of LeNet-300-100, {report['engine']} engine: "
            f"ratio {report['ratio']:.2f}\n{measuring.machine_line(report)}",
            fontsize="medium",
        )


if __name__ == "__main__":
    main()
