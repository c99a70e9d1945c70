"""Write the tables of speed from reports of ``engines.py`` and ``layers.py``."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

NEAR = 0.5
"""a peak of which a step reaches less does not bind it"""
SPARSE = ("sparse", "sparse-conv", "sparse-norm")
"""the engines whose kernels load one vector per multiply-add"""
Rows = Sequence[Mapping[str, Any]]


def speed_sentence(rows: Rows) -> str:
    """How fast tickets train beside the dense network, of LeNet."""
    rate = {(row["engine"], row["density"]): row["steps_per_s"] for row in _lenet(rows)}
    # Of one moment each: the machine may be faster in one part of a run than in another.
    fast = [f"{rate['sparse', d] / rate['dense', d]:.1f}" for d in (0.1, 0.036, 0.01)]
    return (
        f"LeNet-300-100 (batch 60, Adam, one thread) trains {fast[0]}, {fast[1]} and "
        f"{fast[2]} times as many steps per second\nat 10, 3.6 and 1 % of its weights as "
        "the dense engine; plain torch does "
        f"{rate['reference', 1.0]:,.0f} steps/s, that engine {rate['dense', 1.0]:,.0f},\n"
        "the sparse engine at 3.6 % "
        f"{rate['sparse', 0.036]:,.0f}."
    )


def speed_table(rows: Rows) -> str:
    """Steps per second, and in brackets multiples of the dense floor."""

    def lines(shown: Rows) -> Iterator[str]:
        for engine in dict.fromkeys(row["engine"] for row in shown):
            cells = [_rate(row) for row in shown if row["engine"] == engine]
            yield f"| {engine} | {' | '.join(cells)} |"

    return "\n\n".join(_by_density(rows, "model", lines))


def peaks_table(rows: Rows, peaks: Mapping[str, Any]) -> str:
    """What shares of the core's peaks a step reaches, and which of them is nearest.

    Loads are counted for sparse engines, whose kernels load a vector for each multiply-add.
    """
    rates = peaks["bytes_per_s"]
    loads = ", ".join(f"{rates[level] / 1e9:,.0f} from {level}" for level in rates)
    said = (
        f"The core does {peaks['multiply_adds_per_s'] / 1e9:,.0f} · 10⁹ multiply-adds a "
        f"second at best, and loads so many GB: {loads}."
    )

    def lines(shown: Rows) -> Iterator[str]:
        for engine in dict.fromkeys(row["engine"] for row in shown):
            shares = [_shares(row, peaks) for row in shown if row["engine"] == engine]
            if engine in {"dense", *SPARSE}:
                yield from _share_lines(engine, shares)

    return "\n\n".join([said, *_by_density(rows, "model", lines)])


def _shares(row: Mapping[str, Any], peaks: Mapping[str, Any]) -> dict[str, float]:
    """Of each peak, the share that a step reaches."""
    done = row["multiply_adds"] * row["steps_per_s"]
    shares = {"multiply-adds": done / peaks["multiply_adds_per_s"]}
    if row["engine"] in SPARSE:
        bytes_per_s = 4 * done
        for level in ("L1", "L2"):
            shares[f"loads, if from {level}"] = bytes_per_s / peaks["bytes_per_s"][level]
    return shares


def _share_lines(engine: str, shares: Sequence[Mapping[str, float]]) -> list[str]:
    lines = []
    for peak in shares[0]:
        cells = " | ".join(f"{100 * found[peak]:.0f} %" for found in shares)
        lines.append(f"| {engine}: {peak} | {cells} |")
    nearest = [max(found, key=lambda peak: found[peak]) for found in shares]
    cells = " | ".join(
        peak.split()[-1] if found[peak] >= NEAR else "none"
        for peak, found in zip(nearest, shares, strict=True)
    )
    return [*lines, f"| {engine}: nearest | {cells} |"]


def layers_table(rows: Rows) -> str:
    """Microseconds of single layers, forward and backward, ours and those of others."""

    def lines(shown: Rows) -> Iterator[str]:
        times = {(row["way"], row["density"]): row["microseconds"] for row in shown}
        densities = dict.fromkeys(row["density"] for row in shown)
        for way in dict.fromkeys(row["way"] for row in shown):
            cells = [
                f"{times[way, density]:,.0f} ({_multiple(times, way, density)}×)"
                for density in densities
            ]
            yield f"| {way} | {' | '.join(cells)} |"

    return "\n\n".join(_by_density(rows, "layer", lines))


def _by_density(
    rows: Rows, what: str, lines: Callable[[Rows], Iterable[str]]
) -> Iterator[str]:
    """A table per model or layer, with a column per density and these lines."""
    for name in dict.fromkeys(row[what] for row in rows):
        shown = [row for row in rows if row[what] == name]
        densities = [
            f"{density:g}" for density in dict.fromkeys(r["density"] for r in shown)
        ]
        head = f"| {name}, density | {' | '.join(densities)} |"
        yield "\n".join([head, "|---|" + "--:|" * len(densities), *lines(shown)])


def _multiple(times: Mapping[tuple[str, float], float], way: str, density: float) -> str:
    return f"{times[way, density] / times['ours', density]:.1f}"


def _rate(row: Mapping[str, Any]) -> str:
    rate, floor = row["steps_per_s"], row["floor_steps_per_s"]
    return (
        f"{rate:,.0f} ({rate / floor:.2f}×)"
        if rate > 100
        else f"{rate:.1f} ({rate / floor:.2f}×)"
    )


def _lenet(rows: Rows) -> list[Mapping[str, Any]]:
    return [row for row in rows if row["model"] == "lenet-300-100"]
