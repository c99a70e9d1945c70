"""Error of the best subset against the number of candidates.

    python benchmarks/subset_sum.py --out subset_sum.json

For n = 4 … 18 candidates, uniform on [-1, 1] or products of two such numbers, the distance
from a target uniform on [-½, ½] to the nearest sum of a subset: median, 99 % quantile, and
the share within .01. Medians are held against those of another simulation, made with 800
to 4,000 targets and other code. Then the time of one row of the preset
``subset-sum-direct``: 785 targets that share 21 candidates; the preset has 510 such rows.
About 1 minute.
"""

import time
from dataclasses import asdict, dataclass
from pathlib import Path

import measuring
import numpy as np
from measuring import Goal, Report

from pipeline.core.constructions.subset_sum import best_subsets, sums

CANDIDATES = range(4, 19, 2)
TARGETS = 4_000
ROWS = 510
"""output units of 784-500-10"""
REFERENCE = {
    "uniform": (5.1e-2, 1.5e-2, 4.4e-3, 1.2e-3, 3.2e-4, 8.4e-5, 2.9e-5, 5.4e-6),
    "products": (4.1e-2, 1.1e-2, 2.9e-3, 7.7e-4, 2.0e-4, 5.3e-5, 1.2e-5, 4.4e-6),
}
"""median errors of the other simulation, by CANDIDATES"""
APART = 1.3
"""factor between two medians that chance explains; the other has as few as 800 targets"""
LONGEST = 600.0
"""seconds for all weights of the preset, on one core"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """Errors with one number of candidates."""

    kind: str
    candidates: int
    median: float
    p99: float
    within: float
    """share of targets at most .01 away"""


def errors(kind: str, candidates: int) -> Row:
    """Errors of many targets, each with candidates of its own."""
    rng = np.random.default_rng(candidates)
    drawn = rng.uniform(-1, 1, (TARGETS, candidates))
    if kind == "products":
        drawn *= rng.uniform(-1, 1, drawn.shape)
    targets = rng.uniform(-0.5, 0.5, (TARGETS, 1))
    found = np.abs(sums(drawn, best_subsets(targets, drawn)) - targets)
    median, p99 = np.quantile(found, (0.5, 0.99))
    return Row(
        kind=kind,
        candidates=candidates,
        median=float(median),
        p99=float(p99),
        within=float((found <= 0.01).mean()),
    )


def seconds_per_row() -> float:
    """Median seconds of a row of 785 weights with 21 shared candidates."""
    rng = np.random.default_rng(0)
    drawn, targets = rng.uniform(-0.5, 0.5, (1, 21)), rng.uniform(-0.4, 0.4, (1, 785))
    return measuring.in_turns(
        {"row": lambda: measuring.wall(lambda: best_subsets(targets, drawn))}, 9
    )["row"]


def reference(row: Row) -> float:
    """The median of the other simulation."""
    return REFERENCE[row.kind][CANDIDATES.index(row.candidates)]


def slope(rows: list[Row]) -> float:
    """Change of log2(median error) per candidate."""
    numbers = [row.candidates for row in rows]
    return float(np.polyfit(numbers, np.log2([row.median for row in rows]), 1)[0])


def main() -> None:
    """Measure, draw, save."""
    out: Path = measuring.parser(__doc__).parse_args().out
    begin = time.monotonic()
    rows = [
        errors(kind, number) for kind in ("uniform", "products") for number in CANDIDATES
    ]
    for row in rows:
        print(
            f"{row.kind:<9} n = {row.candidates:<3} median {row.median:.1e} "
            f"(reference {reference(row):.1e})  p99 {row.p99:.1e}  "
            f"within .01: {row.within:.3f}"
        )
    slopes = {
        kind: slope([row for row in rows if row.kind == kind])
        for kind in ("uniform", "products")
    }
    print(f"log2(median) per candidate: {slopes}")
    goals = [
        Goal(
            what="all weights of 784-500-10, 21 candidates",
            goal=LONGEST,
            measured=ROWS * seconds_per_row(),
            unit="s",
        ),
        *(
            Goal(
                what=f"log2(median error) per candidate, {kind}",
                goal=-0.85,
                measured=found,
                unit="bits",
            )
            for kind, found in slopes.items()
        ),
    ]
    apart = [abs(np.log(row.median / reference(row))) for row in rows]
    goals.append(
        Goal(
            what="median error against the other simulation, at most",
            goal=APART,
            measured=float(np.exp(max(apart))),
            unit="x",
        )
    )
    report = measuring.save(out, begin, goals=goals, rows=[asdict(row) for row in rows])
    plot(rows, report, out.with_suffix(".png"))


def plot(rows: list[Row], report: Report, file: Path) -> None:
    """Median and 99 % quantile against the number of candidates."""
    with measuring.figure(file) as drawn:
        axes = drawn.subplots()
        for kind in dict.fromkeys(row.kind for row in rows):
            shown = [row for row in rows if row.kind == kind]
            numbers = [row.candidates for row in shown]
            medians = [row.median for row in shown]
            (line,) = axes.plot(numbers, medians, marker="o", label=kind)
            tails = [row.p99 for row in shown]
            axes.plot(numbers, tails, linestyle=":", color=line.get_color())
            known = [reference(row) for row in shown]
            axes.plot(numbers, known, "x", color="black", markersize=9, zorder=3)
        axes.set(yscale="log", xlabel="candidates per weight", ylabel="error")
        axes.set_title(
            f"Best subset, {TARGETS:,} targets (dotted: 99 %; ×: other simulation)\n"
            f"{measuring.machine_line(report)}",
            fontsize="medium",
        )
        axes.legend()


if __name__ == "__main__":
    main()
