"""Final accuracies of the fast engines beside those of the reference, paired by seed.

    python benchmarks/accuracy.py --out accuracy.json

The same start, mask and data order in every engine; what differs is the order of float32
sums, which a training amplifies. 5 seeds of LeNet-300-100 (2,000 steps) and of Conv-2 (150
steps) on MNIST at density .1: the differences in test accuracy with their bootstrap
interval, which should hold 0. About 4 minutes.
"""

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import measuring
import numpy as np
import torch
from measuring import Goal, Report

from pipeline.core import seeding
from pipeline.core.batches import Dataset
from pipeline.core.models.init import initial_weights
from pipeline.core.rewinding import start
from pipeline.core.training import make_engine
from pipeline.core.training.loop import train

CASES = {
    "lenet-300-100": (("dense", "sparse"), 2_000),
    "conv-2": (("dense", "sparse-conv"), 150),
}
"""model -> engines beside the reference, steps"""
DENSITY = 0.1
RESAMPLES = 10_000


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """One engine against the reference on one model."""

    model: str
    engine: str
    steps: int
    reference: tuple[float, ...]
    """test accuracies at the end, by seed"""
    accuracies: tuple[float, ...]
    difference: float
    """mean of engine minus reference"""
    low: float
    high: float
    """95 % bootstrap interval of the mean difference, over seeds"""


def final_accuracies(
    engine: str, model: str, data: Dataset, steps: int, seeds: Sequence[int]
) -> tuple[float, ...]:
    """Test accuracy at the end of each seed's training."""
    network = measuring.network_for(model, data)
    settings = measuring.paper(steps, evaluate_every=steps)
    found = []
    for seed in seeds:
        job = measuring.make_job(network, data, DENSITY, settings)
        rng = seeding.generator(seed, "init")
        theta0 = initial_weights(network, "glorot-normal", rng)
        job = replace(job, start=start(theta0, job.mask), seed=seed)
        trained = train([job], make_engine(engine, [job]))
        found.append(trained[0].end.test.accuracy)
    return tuple(found)


def interval(differences: Sequence[float]) -> tuple[float, float]:
    """95 % percentile bootstrap interval of the mean."""
    values = np.array(differences)
    rng = seeding.generator(0, "mask_sample")
    means = rng.choice(values, (RESAMPLES, len(values))).mean(axis=1)
    low, high = np.quantile(means, [0.025, 0.975])
    return float(low), float(high)


def measure(
    data: Dataset, cases: dict[str, tuple[tuple[str, ...], int]], seeds: Sequence[int]
) -> list[Row]:
    """Every engine of every case, beside the reference."""
    rows = []
    for model, (engines, steps) in cases.items():
        reference = final_accuracies("reference", model, data, steps, seeds)
        for engine in engines:
            accuracies = final_accuracies(engine, model, data, steps, seeds)
            differences = np.subtract(accuracies, reference)
            low, high = interval(list(differences))
            row = Row(
                model=model,
                engine=engine,
                steps=steps,
                reference=reference,
                accuracies=accuracies,
                difference=float(differences.mean()),
                low=low,
                high=high,
            )
            print(
                f"{model} {engine}: {100 * row.difference:+.3f} points "
                f"({100 * low:+.3f} to {100 * high:+.3f})"
            )
            rows.append(row)
    return rows


def goals(rows: Sequence[Row]) -> list[Goal]:
    """The interval holds 0: the smaller of its distances beyond 0 is none."""
    return [
        Goal(
            what=f"{row.engine} on {row.model}, interval beyond 0",
            goal=0,
            measured=100 * max(row.low, -row.high, 0.0),
            unit="points",
        )
        for row in rows
    ]


def plot(rows: Sequence[Row], report: Report, file: Path) -> None:
    """Differences per seed and their interval."""
    with measuring.figure(file) as drawn:
        axes = drawn.subplots()
        for place, row in enumerate(rows):
            each = 100 * np.subtract(row.accuracies, row.reference)
            axes.plot([place] * len(each), each, "k.")
            axes.plot([place, place], [100 * row.low, 100 * row.high], linewidth=4)
        axes.axhline(0, color="gray", linewidth=1)
        names = [f"{row.engine}\n{row.model}" for row in rows]
        axes.set_xticks(range(len(rows)), names)
        axes.set(ylabel="Test accuracy minus the reference's (points)")
        axes.set_title(measuring.machine_line(report), fontsize="medium")


def main() -> None:
    """Measure, print, save."""
    options = measuring.parser(__doc__).parse_args()
    begin = time.monotonic()
    torch.set_num_threads(1)
    data, source = measuring.load(options.data_root)
    rows = measure(data, CASES, seeds=range(5))
    report = measuring.save(
        options.out,
        begin,
        goals=goals(rows),
        data=source,
        density=DENSITY,
        rows=[asdict(row) for row in rows],
    )
    plot(rows, report, options.out.with_suffix(".png"))


if __name__ == "__main__":
    main()
