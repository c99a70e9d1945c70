"""Rows of a role -> its curve over densities, and contrasts of two roles, per seed."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

import numpy as np

from pipeline.compare.claims import DENSE
from pipeline.compare.protocols import Evidence, NoAnswerError
from pipeline.core.statistics import (
    Interval,
    nested_bootstrap,
    paired_differences,
    t_interval,
)
from pipeline.results.tables import Row

NEAR = 1.03
"""factor within which two densities are the same round"""
REACHED = 1.3
"""factor by which the last round may miss the smallest density of a range"""
STEP = "early_stop_step"

Groups = Mapping[int, Sequence[float]]
"""seed -> its repetitions"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Sample:
    """One contrast at one density."""

    density: float
    groups: Groups

    @property
    def means(self) -> tuple[float, ...]:
        """One value per seed: the mean of its repetitions."""
        return tuple(fmean(values) for values in self.groups.values())

    def interval(self) -> Interval | None:
        """Of the mean over seeds, at 95 %; None for a single seed."""
        if len(self.groups) < 2:
            return None
        if any(len(values) > 1 for values in self.groups.values()):
            groups = [list(values) for values in self.groups.values()]
            return nested_bootstrap(groups, np.random.default_rng(0))
        return t_interval(self.means)


def curve_of(evidence: Evidence, role: str) -> dict[float, list[Row]]:
    """Density -> rows; the dense network is one point."""
    if role == DENSE:
        return {1.0: list(evidence.dense)}
    rounds: dict[int, list[Row]] = {}
    for row in evidence.rows[role]:
        if row["round"]:
            rounds.setdefault(row["round"], []).append(row)
    return {fmean(row["density"] for row in rows): rows for rows in rounds.values()}


def picked(
    curve: Mapping[float, list[Row]], at: Sequence[float]
) -> list[tuple[float, list[Row]]]:
    """The round at one density, or those of a range, densest first."""
    largest, smallest = max(at), min(at)
    found = sorted(
        (d for d in curve if smallest / NEAR <= d <= largest * NEAR), reverse=True
    )
    allowed = NEAR if len(at) == 1 else REACHED
    if not found or found[-1] > smallest * allowed:
        nearest = min(curve, key=lambda d: abs(math.log(d / smallest)), default=math.nan)
        raise NoAnswerError(
            "not run", f"no round at density {smallest:.1%}; the nearest is {nearest:.1%}"
        )
    return [(density, curve[density]) for density in found]


def at_density(curve: Mapping[float, list[Row]], density: float) -> list[Row]:
    """The round of that density; the dense network is compared at every density."""
    if set(curve) == {1.0}:
        return curve[1.0]
    return picked(curve, (density,))[0][1]


def values_of(rows: Sequence[Row], metric: str) -> Groups:
    """Seed -> known values; a training that diverged has none."""
    groups: dict[int, list[float]] = {}
    for row in rows:
        if row.get(metric) is not None:
            groups.setdefault(row["seed"], []).append(row[metric])
    return groups


def minus(first: Sequence[Row], second: Sequence[Row], *, metric: str) -> Groups:
    """Differences per seed that both have; repetitions of either side are kept."""
    return paired_differences(values_of(first, metric), values_of(second, metric))


def log_ratio(first: Sequence[Row], second: Sequence[Row]) -> Groups:
    """Logarithms of the ratio of early-stop steps, per seed that both have.

    Raises:
        NoAnswerError: where one is censored: leaving it out would favor late ones.
    """
    for rows in (first, second):
        if any(row["censored"] or row[STEP] == 0 for row in rows):
            raise NoAnswerError("not comparable", why_censored(rows, rows[0]["density"]))
    logs = ([row | {STEP: _log(row[STEP])} for row in rows] for rows in (first, second))
    return minus(*logs, metric=STEP)


def why_censored(rows: Sequence[Row], density: float) -> str:
    """What keeps the early stops of these trainings from being averaged."""
    num = sum(bool(row["censored"]) for row in rows)
    if not num:
        return f"no early stop after step 0 at density {density:.1%}"
    return (
        f"the early stop is censored in {num} of {len(rows)} trainings at density "
        f"{density:.1%}; train longer"
    )


def leaving_density(differences: Mapping[float, float], margin: float) -> float:
    """The last density before the curve first falls below -margin; 1 = at once."""
    last = 1.0
    for density in sorted(differences, reverse=True):
        if differences[density] < -margin:
            return last
        last = density
    return last


def refuse_unmeasured(samples: Sequence[Sample], metric: str) -> None:
    """Raise NoAnswerError where a density has no value at all."""
    for sample in samples:
        if not sample.groups:
            raise NoAnswerError(
                "not run", f"no {metric} in common seeds at density {sample.density:.1%}"
            )


def _log(step: int | None) -> float | None:
    return None if step is None else math.log(step)
