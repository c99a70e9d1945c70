"""Values per seed and density: of one variant, or as differences between two variants."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

from pipeline.compare.failures import Rule
from pipeline.compare.no_answer import NoAnswerError
from pipeline.core.decisions import Family, Statement
from pipeline.core.statistics import paired_differences
from pipeline.results.tables import Row

STEP = "early_stop_step"

Groups = Mapping[int, Sequence[float]]
"""seed -> the values of its repetitions"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Sample:
    """Values, or differences between two variants, at one density."""

    density: float
    groups: Groups
    run: frozenset[int]
    """seeds that were run, on both sides; one that failed has no values"""
    censored: frozenset[int] = frozenset()
    """seeds whose value is a bound alone; they have no values either"""

    @property
    def means(self) -> dict[int, float]:
        """Seed -> the mean of its repetitions, which are no independent evidence."""
        return {seed: fmean(values) for seed, values in self.groups.items()}


def family_of(samples: Sequence[Sample], bounds: tuple[float, float]) -> Family:
    """The statements that the mean of every sample lies between the bounds."""
    low, high = bounds
    return family(
        samples, [Statement(values=one.means, low=low, high=high) for one in samples]
    )


def family(samples: Sequence[Sample], statements: Sequence[Statement]) -> Family:
    """Statements about samples, with the seeds that all of the samples have."""
    seeds = frozenset.intersection(*(sample.run for sample in samples))
    censored = frozenset.union(*(sample.censored for sample in samples))
    return Family(
        statements=tuple(statements),
        seeds=tuple(sorted(seeds)),
        censored=censored & seeds,
    )


def seeds_of(*sides: Sequence[Row]) -> frozenset[int]:
    """The seeds that all sides were run with."""
    return frozenset.intersection(*(frozenset(r["seed"] for r in rows) for rows in sides))


def values_of(rows: Sequence[Row], metric: str) -> Groups:
    """Seed -> known values of a metric."""
    groups: dict[int, list[float]] = {}
    for row in rows:
        if row.get(metric) is not None:
            groups.setdefault(row["seed"], []).append(row[metric])
    return groups


def minus(
    first: Sequence[Row], second: Sequence[Row], *, metric: str, rule: Rule
) -> Groups:
    """Differences of a metric per seed, over all repetitions of either side.

    Runs that failed are left out, by the rule. Both sides have the same seeds.
    """
    sides = (values_of(rule.sound(rows, metric), metric) for rows in (first, second))
    return paired_differences(*sides)


def log_ratio(first: Sequence[Row], second: Sequence[Row]) -> Groups:
    """Logarithm of the ratio of early-stop steps, per common seed that is not censored."""
    hidden = censored_seeds(first, second)
    logs = (
        [row | {STEP: _log(row[STEP])} for row in rows if row["seed"] not in hidden]
        for rows in (first, second)
    )
    return paired_differences(*(values_of(rows, STEP) for rows in logs))


def censored_seeds(*sides: Sequence[Row]) -> frozenset[int]:
    """The seeds whose early stop has no logarithm: it is censored, or at step 0.

    To leave them out would bias a mean towards early stops.
    """
    return frozenset(
        row["seed"] for rows in sides for row in rows if row["censored"] or row[STEP] == 0
    )


def why_censored(sides: Iterable[Sequence[Row]], seeds: Sequence[int]) -> str:
    """The reason why the early stops of these seeds have no mean.

    Args:
        sides: rows of one variant at one density each; the first with such a stop is named.
        seeds: of the look that has no mean.
    """
    mine = [[row for row in rows if row["seed"] in seeds] for rows in sides]
    for rows in mine:
        if num := sum(bool(row["censored"]) for row in rows):
            return (
                f"the early stop is censored in {num} of {len(rows)} trainings at density "
                f"{_density(rows)}; train longer"
            )
    first = next(rows for rows in mine if censored_seeds(rows))
    return f"no early stop after step 0 at density {_density(first)}"


def leaving_density(differences: Mapping[float, float], margin: float) -> float | None:
    """The first density at which the differences lie below -margin; None if none does.

    >>> leaving_density({0.8: 0.0, 0.64: -0.01, 0.51: -0.02}, 0.002)
    0.64
    """
    fallen = (density for density, found in differences.items() if found < -margin)
    return max(fallen, default=None)


def refuse_unmeasured(samples: Sequence[Sample], metric: str) -> None:
    """Raise NoAnswerError if a density has no value at all."""
    for sample in samples:
        if not sample.groups and not sample.censored:
            raise NoAnswerError(
                "not run", f"no {metric} in common seeds at density {sample.density:.1%}"
            )


def _density(rows: Sequence[Row]) -> str:
    return f"{fmean(row['density'] for row in rows):.1%}"


def _log(step: int | None) -> float | None:
    return None if step is None else math.log(step)
