"""Final accuracies of the fast engines beside those of the reference, paired by seed.

    python benchmarks/accuracy.py --out accuracy.json [--model resnet-8 …]

The same start, mask and data order in every engine; what differs is the order of float32
sums, which a training amplifies: a ReLU gate that rounding turns is a full step of Adam.
LeNet-300-100 (2,000 steps), Conv-2 (150) and ResNet-8 (600, its rate falls to 0) on MNIST
at density .1. Engines are equal if the 95 % bootstrap interval of the mean difference in
test accuracy lies within ±0.1 points. To judge the differences, the last engine of a model
is compared with itself, too, from starts whose weights differ by 1e-6: that is what chance
alone does. 16 seeds: the interval of 5 misses the true mean in 16 of 100 cases, that of 16
in 7. About 40 minutes.
"""

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import measuring
import numpy as np
import torch
from measuring import Goal, Report

from pipeline.core import seeding
from pipeline.core.arrays import Weights
from pipeline.core.batches import Dataset
from pipeline.core.models.init import initial_weights
from pipeline.core.rewinding import start
from pipeline.core.training.engine import Job
from pipeline.core.training.settings import Schedule
from pipeline.engines import make_engine


@dataclass(frozen=True, kw_only=True, slots=True)
class Case:
    """The engines beside the reference that train a model, and how long."""

    engines: tuple[str, ...]
    steps: int
    schedule: Schedule = field(default_factory=Schedule)
    """of the learning rate"""


CASES = {
    "lenet-300-100": Case(engines=("dense", "sparse"), steps=2_000),
    "conv-2": Case(engines=("dense", "sparse-conv"), steps=150),
    # At a constant rate its accuracy jumps by a point from step to step.
    "resnet-8": Case(engines=("sparse-norm",), steps=600, schedule=Schedule(name="cosine")),
}
"""by model"""
SEEDS = range(16)
DENSITY = 0.1
MARGIN = 0.1
"""points: 10 of 10,000 images"""
NUDGE = 1e-6
"""relative, of each weight: the rounding error of a long float32 sum"""
RESAMPLES = 10_000


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """One engine against another on one model."""

    model: str
    engine: str
    against: str
    """``reference``, or ``itself nudged``"""
    steps: int
    accuracies: tuple[float, ...]
    """test accuracies at the end, by seed"""
    others: tuple[float, ...]
    """of what it stands against"""
    difference: float
    """mean of engine minus other"""
    low: float
    high: float
    """95 % bootstrap interval of the mean difference, over seeds"""
    spread: float
    """standard deviation of the differences"""


def final_accuracies(
    engine: str, jobs: Iterable[Job], steps: int, *, nudge: bool = False
) -> tuple[float, ...]:
    """Test accuracy at the end of each job's training."""
    found = []
    for job in jobs:
        begin = replace(job, start=nudged(job.start, job.seed)) if nudge else job
        trained = make_engine(engine, [begin])
        trained.advance(steps)
        found.append(trained.evaluate("test")[0].accuracy)
    return tuple(found)


def jobs_for(model: str, data: Dataset, case: Case, seeds: Sequence[int]) -> list[Job]:
    """The same mask for all seeds, and a start and data order for each."""
    network = measuring.network_for(model, data)
    settings = replace(measuring.paper(case.steps), schedule=case.schedule)
    job = measuring.make_job(network, data, DENSITY, settings)
    jobs = []
    for seed in seeds:
        rng = seeding.generator(seed, "init")
        theta0 = initial_weights(network, "glorot-normal", rng)
        jobs.append(replace(job, start=start(theta0, job.mask), seed=seed))
    return jobs


def nudged(weights: Weights, seed: int) -> Weights:
    """The weights, each moved by about NUDGE of its size; zeros stay."""
    rng = seeding.generator(seed, "score_batch")
    return {
        name: (weight * (1 + NUDGE * rng.standard_normal(weight.shape))).astype(np.float32)
        for name, weight in weights.items()
    }


def interval(differences: Sequence[float]) -> tuple[float, float]:
    """95 % percentile bootstrap interval of the mean."""
    values = np.array(differences)
    rng = seeding.generator(0, "mask_sample")
    means = rng.choice(values, (RESAMPLES, len(values))).mean(axis=1)
    low, high = np.quantile(means, [0.025, 0.975])
    return float(low), float(high)


def measure(data: Dataset, cases: Mapping[str, Case], seeds: Sequence[int]) -> list[Row]:
    """Every engine of every case beside the reference, the last one beside itself, too."""
    rows: list[Row] = []
    for model, case in cases.items():
        steps = case.steps
        jobs = jobs_for(model, data, case, seeds)
        others = final_accuracies("reference", jobs, steps)
        for engine in case.engines:
            accuracies = final_accuracies(engine, jobs, steps)
            rows.append(compared(model, (engine, "reference"), steps, accuracies, others))
            print(line(rows[-1]), flush=True)
        again = final_accuracies(engine, jobs, steps, nudge=True)
        rows.append(compared(model, (engine, "itself nudged"), steps, again, accuracies))
        print(line(rows[-1]), flush=True)
    return rows


def compared(
    model: str,
    pair: tuple[str, str],
    steps: int,
    accuracies: tuple[float, ...],
    others: tuple[float, ...],
) -> Row:
    """The row of an engine and what it stands against."""
    differences = np.subtract(accuracies, others)
    low, high = interval(list(differences))
    return Row(
        model=model,
        engine=pair[0],
        against=pair[1],
        steps=steps,
        accuracies=accuracies,
        others=others,
        difference=float(differences.mean()),
        low=low,
        high=high,
        spread=float(differences.std(ddof=1)),
    )


def line(row: Row) -> str:
    """For the terminal."""
    return (
        f"{row.model} {row.engine} against {row.against}: {100 * row.difference:+.3f} "
        f"points ({100 * row.low:+.3f} to {100 * row.high:+.3f}, "
        f"spread {100 * row.spread:.3f})"
    )


def goals(rows: Sequence[Row]) -> list[Goal]:
    """The interval of an engine against the reference lies within the margin."""
    return [
        Goal(
            what=f"{row.engine} on {row.model}, end of the interval farther from 0",
            goal=MARGIN,
            measured=100 * max(-row.low, row.high),
            unit="points",
        )
        for row in rows
        if row.against == "reference"
    ]


def plot(rows: Sequence[Row], report: Report, file: Path) -> None:
    """Differences per seed and their interval."""
    with measuring.figure(file, width=9) as drawn:
        axes = drawn.subplots()
        for place, row in enumerate(rows):
            each = 100 * np.subtract(row.accuracies, row.others)
            axes.plot([place] * len(each), each, "k.")
            axes.plot([place, place], [100 * row.low, 100 * row.high], linewidth=4)
        axes.axhline(0, color="gray", linewidth=1)
        axes.axhspan(-MARGIN, MARGIN, color="gray", alpha=0.2)
        names = [f"{row.model}\n{row.engine}\nagainst {row.against}" for row in rows]
        axes.set_xticks(range(len(rows)), names)
        axes.set(ylabel="Difference in test accuracy (points)")
        axes.set_title(measuring.machine_line(report), fontsize="medium")


def main() -> None:
    """Measure, print, save."""
    parser = measuring.parser(__doc__)
    parser.add_argument("--model", nargs="+", choices=CASES, default=list(CASES))
    options = parser.parse_args()
    begin = time.monotonic()
    torch.set_num_threads(1)
    data, source = measuring.load(options.data_root)
    cases = {model: CASES[model] for model in options.model}
    rows = measure(data, cases, seeds=SEEDS)
    report = measuring.save(
        options.out,
        begin,
        goals=goals(rows),
        data=source,
        density=DENSITY,
        nudge=NUDGE,
        rows=[asdict(row) for row in rows],
    )
    plot(rows, report, options.out.with_suffix(".png"))


if __name__ == "__main__":
    main()
