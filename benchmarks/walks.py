"""Time PHEW's walks for LeNet-300-100, from sparse to dense.

    python benchmarks/walks.py --out walks.json

The goal is at most 10 s at any density. About 15 s in all.
"""

import time
from dataclasses import asdict, dataclass
from pathlib import Path

import measuring
import numpy as np
from measuring import Goal, Report

from pipeline.core import cuts, masks, seeding
from pipeline.core.criteria.evidence import Evidence
from pipeline.core.cuts.asked import Asked
from pipeline.core.description import of_images
from pipeline.core.models import build
from pipeline.core.models.init import initial_weights
from pipeline.core.models.layers import Kind, kernels, parameters

DENSITIES = (0.001, 0.01, 0.1, 0.5, 0.9, 0.99, 0.999, 0.9999)
LONGEST = 10.0
"""seconds, at any density"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """A mask, and how long it took."""

    density: float
    kept: int
    seconds: float


def walked(density: float, widths: tuple[int, ...] = (300, 100)) -> Row:
    """Cut a LeNet of these widths."""
    data = of_images((1, 28, 28), classes=10)
    network = build("mlp", widths=widths, data=data)
    evidence = Evidence(
        network=network,
        data=data,
        begun=initial_weights(network, "glorot-normal", seeding.generator(0, "init")),
        trained={},
        mask=masks.dense(parameters(network), kernels(network)),
        batches=None,
        rng=seeding.generator(0, "mask_sample"),
    )
    fractions: dict[Kind, float | None] = {"fc": 1 - density, "output": 1 - density}
    asked = Asked.of_recipe(network, "phew", fractions, "global", 1)
    begin = time.perf_counter()
    found = cuts.cut("paths", evidence, asked)
    seconds = time.perf_counter() - begin
    return Row(density=density, kept=sum(masks.kept(found).values()), seconds=seconds)


def main() -> None:
    """Measure, draw, save."""
    out: Path = measuring.parser(__doc__).parse_args().out
    begin = time.monotonic()
    rows = [walked(density) for density in DENSITIES]
    for row in rows:
        print(f"density {row.density:<6}: {row.kept:>7,} weights, {row.seconds:.2f} s")
    slowest = max(row.seconds for row in rows)
    goal = Goal(what="walks at any density", goal=LONGEST, measured=slowest, unit="s")
    report = measuring.save(out, begin, goals=[goal], rows=[asdict(row) for row in rows])
    plot(rows, report, out.with_suffix(".png"))


def plot(rows: list[Row], report: Report, file: Path) -> None:
    """Seconds against the share of weights that is pruned, which is the rare part."""
    with measuring.figure(file) as drawn:
        axes = drawn.subplots()
        pruned = 1 - np.array([row.density for row in rows])
        axes.plot(pruned, [row.seconds for row in rows], marker="o")
        axes.axhline(LONGEST, color="grey", linestyle=":")
        axes.set(xscale="log", xlabel="pruned share (1 - density)", ylabel="seconds")
        title = f"PHEW, LeNet-300-100\n{measuring.machine_line(report)}"
        axes.set_title(title, fontsize="medium")


if __name__ == "__main__":
    main()
