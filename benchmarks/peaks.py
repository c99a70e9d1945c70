"""Measure the most that one core can do: multiply-adds, and bytes loaded from each memory.

    python benchmarks/peaks.py --out peaks.json

Loops with nothing else in them, compiled like the kernels of the engines: multiply-adds of
registers in independent chains, and sums of vectors that are loaded one after the other
from arrays of several sizes. The best of many short turns counts. About 5 seconds.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import measuring
import numpy as np
from measuring import Report

from pipeline.core.arrays import Floats
from pipeline.engines.shared.caching import kernel
from pipeline.engines.shared.compiled import aligned
from pipeline.engines.shared.vectors import (
    HAS_AVX512,
    LANES,
    TileShape,
    add,
    fma,
    load,
    splat,
    store,
    uint,
)

CHAINS: TileShape = ((0,) * 2, (0,) * 8) if HAS_AVX512 else ((0,), (0,) * 5)
"""independent sums: enough to hide the 4 cycles of each; the registers hold them all"""
NUM_CHAINS = len(CHAINS[0]) * len(CHAINS[1])
LEVELS = {"L1": 2**14, "L2": 2**19, "L3": 2**23, "memory": 2**28}
"""bytes of an array that lies in each level: half of a small cache, and far more than the
second level. How large the third is, and who else uses it, differs between machines"""
TURN_S = 0.01
TURNS = 40


@dataclass(frozen=True, kw_only=True, slots=True)
class Peaks:
    """The best that one core was seen to do."""

    multiply_adds_per_s: float
    """of single numbers, 16 of which are one vector"""
    bytes_per_s: dict[str, float]
    """loaded from each level"""


@kernel
def multiply_adds(out: Floats, times: int) -> None:
    """Add products to each chain, so many times."""
    factor, sums = splat(np.float32(0.999), CHAINS), splat(np.float32(1), CHAINS)
    for _ in range(times):
        sums = fma(sums, factor, factor)
    store(out, (uint(0), uint(len(CHAINS[1]) * LANES)), sums)


@kernel
def loads(array: Floats, out: Floats, times: int) -> None:
    """Add up all vectors of an array, so many times."""
    distance = uint(len(CHAINS[1]) * LANES)
    step = NUM_CHAINS * LANES
    sums = splat(np.float32(0), CHAINS)
    for _ in range(times):
        for at in range(0, len(array) // step * step, step):
            sums = add(sums, load(array, (uint(at), distance), CHAINS))
    store(out, (uint(0), distance), sums)


def measure() -> Peaks:
    """The peaks of the core on which this runs."""
    out = aligned(NUM_CHAINS * LANES, np.float32)
    found = {}
    for level, size in LEVELS.items():
        array = aligned(size // 4, np.float32)
        array[:] = 1  # pages of their own: untouched ones are all the same page of zeros
        found[level] = size * _rate(lambda n, a=array: loads(a, out, n))  # type: ignore[misc]
    per_turn = 1000 * NUM_CHAINS * LANES
    rate = _rate(lambda n: multiply_adds(out, 1000 * n))
    return Peaks(multiply_adds_per_s=per_turn * rate, bytes_per_s=found)


def best(some: Peaks, others: Peaks) -> Peaks:
    """The higher of each two: other work on the machine only lowers them."""
    return Peaks(
        multiply_adds_per_s=max(some.multiply_adds_per_s, others.multiply_adds_per_s),
        bytes_per_s={
            level: max(rate, others.bytes_per_s[level])
            for level, rate in some.bytes_per_s.items()
        },
    )


def _rate(work: Callable[[int], object]) -> float:
    """How many times a second, at best, work(n) does what it does n times."""
    work(1)
    times = max(1, int(TURN_S / measuring.wall(lambda: work(1))))
    return times / min(measuring.wall(lambda: work(times)) for _ in range(TURNS))


def main() -> None:
    """Measure, print, and save the peaks and their figure."""
    arguments = measuring.parser(__doc__).parse_args()
    begin = time.monotonic()
    found = measure()
    print(f"{found.multiply_adds_per_s / 1e9:.0f} thousand million multiply-adds a second")
    for level, rate in found.bytes_per_s.items():
        print(f"{rate / 1e9:.0f} GB/s from {level}")
    report = measuring.save(arguments.out, begin, rows=[asdict(found)])
    plot([found], report, arguments.out.with_suffix(".png"))


def plot(rows: Sequence[Peaks], report: Report, file: Path) -> None:
    """Bytes a second from each level."""
    (found,) = rows
    with measuring.figure(file) as drawn:
        axes = drawn.subplots()
        axes.bar(list(found.bytes_per_s), [r / 1e9 for r in found.bytes_per_s.values()])
        axes.set(yscale="log", ylabel="GB/s loaded by one core")
        drawn.suptitle(measuring.machine_line(report), fontsize=8)


if __name__ == "__main__":
    main()
