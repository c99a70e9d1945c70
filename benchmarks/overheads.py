"""Measure the costs beside training: DVC, stages, processes, memory.

    python benchmarks/overheads.py --out overheads.json

Commands are timed by hyperfine where it is installed, else by the wall clock and the CPU
time of children. Measured are

- ``dvc repro`` where nothing is to do, for about 180 stages of 5 seeds. The outputs are
  made up and committed to DVC once, since only their number matters to it;
- the processes of one ``prune``, ``rewind`` and ``retrain`` stage: LeNet-300-100 on MNIST,
  3 seeds. The training has 1 step, so that everything else is what remains;
- the peak memory of a worker after such a training, as the kernel counts it (VmHWM, what
  ``/usr/bin/time -v`` shows of a process; workers are out of its sight);
- ``lt-pipeline --help``.

About 4 minutes, most of them for preparing the DVC repository.
"""

import json
import resource
import shutil
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median

import clone
import measuring
import torch
import workers
from measuring import Goal, Report

from pipeline.config import params
from pipeline.core.batches import Dataset
from pipeline.plan import compiler, fingerprints, items

ENGINES = ("dense", "sparse")
SEEDS = (0, 1, 2)
KEY, ROUND_1 = "main-s0-2", "main-ticket-r01-s0-2"


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """One command, medians of several runs."""

    what: str
    wall_s: float
    cpu_s: float
    """of the process and its children"""
    goal_s: float | None
    """for the wall time"""
    tool: str


def main() -> None:
    """Measure, print, and save the table and its figure."""
    options = measuring.parser(__doc__)
    options.add_argument("--rounds", type=int, default=22, help="8 stages each")
    options.add_argument("--runs", type=int, default=7)
    arguments = options.parse_args()
    torch.set_num_threads(1)
    begin = time.monotonic()
    data, source = measuring.load(arguments.data_root)
    with tempfile.TemporaryDirectory(prefix="lt-benchmark-") as folder:
        rows, memory = stages(Path(folder) / "stages", data, runs=arguments.runs)
        no_op, num_stages = repro(
            Path(folder) / "repro", rounds=arguments.rounds, runs=arguments.runs
        )
        rows.append(no_op)
    report = measuring.save(
        arguments.out,
        begin,
        goals=goals(rows, memory),
        rows=[asdict(row) for row in rows],
        memory=memory,
        stages_of_repro=num_stages,
        data=source,
        runs=arguments.runs,
    )
    plot(rows, report, arguments.out.with_suffix(".png"))


def stages(root: Path, data: Dataset, *, runs: int) -> tuple[list[Row], list[Report]]:
    """Times of single stages and of ``--help``; memory of what a worker does."""
    settings = workers.settings_for(steps=1, engine="dense") | {"seeds": list(SEEDS)}
    clone.make(root, settings, data)
    clone.run(root, clone.python("pipeline.stages.init", KEY))
    clone.run(root, clone.python("pipeline.stages.train", KEY))
    rows = []
    for stage in ("prune", "rewind"):
        command = clone.python(f"pipeline.stages.{stage}", ROUND_1)
        rows.append(timed(root, stage, command, goal_s=0.6, runs=runs))
    command = clone.python("pipeline.stages.retrain", ROUND_1)
    for engine in ENGINES:
        settings["tasks"]["main"]["train"]["engine"] = engine
        clone.write_params(root, settings)
        what = f"retrain, 1 step, {engine}"
        rows.append(timed(root, what, command, goal_s=3.0, runs=runs))
    command = [str(clone.BIN / "lt-pipeline"), "--help"]
    rows.append(timed(root, "lt-pipeline --help", command, goal_s=0.3, runs=runs))
    return rows, memory(root)


def memory(root: Path) -> list[Report]:
    """Peak resident memory of a worker, per engine."""
    found = []
    for engine in ENGINES:
        facts = workers.probe(root, engine, SEEDS)
        peak = max(one["peak_rss_mb"] for one in facts)
        found.append({"engine": engine, "peak_rss_mb": peak})
        print(f"worker, {engine} engine: {peak:.0f} MB at its peak")
    return found


def repro(root: Path, *, rounds: int, runs: int) -> tuple[Row, int]:
    """``dvc repro`` of a finished plan, and how many stages it has."""
    settings = repro_settings(rounds)
    clone.make(root, settings)
    clone.run(root, ["git", "init", "--quiet"])
    clone.run(root, clone.python("dvc", "init", "--quiet", "--force"))
    shutil.copyfile(measuring.ROOT / ".dvc/config", root / ".dvc/config")
    num_stages = fabricate(root)
    clone.run(root, clone.python("dvc", "commit", "--force", "--quiet"))
    command = clone.python("dvc", "repro")
    printed = clone.run(root, command)
    if "Running stage" in printed:
        raise RuntimeError(f"dvc repro had something to do:\n{printed}")
    what = f"dvc repro, nothing to do, {num_stages} stages"
    return timed(root, what, command, goal_s=3.0, runs=runs), num_stages


def repro_settings(rounds: int) -> clone.Params:
    """A ticket and two controls: 8 stages a round."""
    settings = clone.preset("digits", rounds=rounds, seeds=[0, 1, 2, 3, 4])
    taken = dict.fromkeys(("schedule", "criterion", "scope", "fraction"))
    settings["variants"]["random-mask"] = {
        "tasks": ["main"],
        "prune": {"mask": "ticket", "transform": "shuffle", **taken},
        "rewind": {"to": "theta0", "step": None, "draw": None, "pruned": "zero"},
    }
    return settings


def fabricate(root: Path) -> int:
    """Write a small file for every output of the plan; returns the number of stages."""
    current = items.read(root)
    assert current is not None
    for item in items.items_of(current):
        for path in _outputs(item):
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            (root / path).write_text(path, encoding="utf-8")
    fingerprints.write(compiler.inputs_of(current), params.resolved(root), root)
    for path in ("artifacts/tracked.txt", "results/rounds.csv"):
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(path, encoding="utf-8")
    (root / "results/summary.json").write_text("{}", encoding="utf-8")
    return sum(len(items) for items in current.values()) + 3  # plan, results, track


def _outputs(item: items.Item) -> list[str]:
    """Files like those that the stage leaves."""
    seeds = item.seeds if "seeds" in item.fields else ()
    files = {
        "trained": [
            f"s{seed}.{part}.safetensors" for seed in seeds for part in ("mask", "weights")
        ],
        "results": ["result.json", "curves.parquet"],
        "data": [],
        "timing": [],
    }
    one_each = [f"s{seed}.safetensors" for seed in seeds]
    return [
        "/".join((item[name], *([file] if file else [])))
        for name in item.kind.writes
        for file in files.get(name, one_each) or [""]
    ]


def timed(
    root: Path, what: str, command: Sequence[str], *, goal_s: float | None, runs: int
) -> Row:
    """Run a command several times, after once for warming up."""
    measure = _by_hyperfine if shutil.which("hyperfine") else _by_hand
    wall_s, cpu_s = measure(root, command, runs)
    row = Row(
        what=what,
        wall_s=wall_s,
        cpu_s=cpu_s,
        goal_s=goal_s,
        tool="hyperfine" if measure is _by_hyperfine else "wall clock",
    )
    print(f"{what}: {wall_s:.2f} s, {cpu_s:.2f} s of CPU time", flush=True)
    return row


def _by_hyperfine(root: Path, command: Sequence[str], runs: int) -> tuple[float, float]:
    out = root.parent / "hyperfine.json"
    options = ["--shell=none", "--warmup=1", f"--runs={runs}", f"--export-json={out}"]
    clone.run(root, ["hyperfine", "--style=none", *options, " ".join(command)])
    (found,) = json.loads(out.read_text(encoding="utf-8"))["results"]
    return found["median"], found["user"] + found["system"]


def _by_hand(root: Path, command: Sequence[str], runs: int) -> tuple[float, float]:
    clone.run(root, command)
    before = _children_cpu_s()
    wall_s = [measuring.wall(lambda: clone.run(root, command)) for _ in range(runs)]
    return median(wall_s), (_children_cpu_s() - before) / runs


def _children_cpu_s() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def goals(rows: Sequence[Row], memory: Sequence[Report]) -> list[Goal]:
    """The times that have a goal, and the memory of the largest worker."""
    times = [
        Goal(what=row.what, goal=row.goal_s, measured=row.wall_s, unit="s")
        for row in rows
        if row.goal_s is not None
    ]
    largest = max(one["peak_rss_mb"] for one in memory)
    return [
        *times,
        Goal(what="peak memory of a worker", goal=700, measured=largest, unit="MB"),
    ]


def plot(rows: Sequence[Row], report: Report, file: Path) -> None:
    """Wall time of each command, and its goal."""
    with measuring.figure(file, height=3.6) as drawn:
        axes = drawn.subplots()
        names = [row.what for row in rows]
        axes.barh(names, [row.wall_s for row in rows])
        for place, row in enumerate(rows):
            if row.goal_s is not None:
                axes.plot([row.goal_s] * 2, [place - 0.45, place + 0.45], "k--")
        axes.invert_yaxis()
        axes.set(xlabel="seconds (dashed: goal)")
        axes.set_title(measuring.machine_line(report), fontsize="medium")


if __name__ == "__main__":
    main()
