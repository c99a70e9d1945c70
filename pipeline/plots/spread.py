"""Compute the mean, the least and the greatest value of a metric over seeds."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from statistics import fmean

from pipeline.presets.recipes import familiar_variants
from pipeline.results.tables import Row

Mean = Callable[[Sequence[float]], float]


@dataclass(frozen=True, kw_only=True, slots=True)
class Spread:
    """Mean and range of a metric over the seeds of one group."""

    density: float
    """mean over the seeds"""
    mean: float | None
    """of the kind that the metric has; None if no seed has a value"""
    low: float | None
    high: float | None
    num_seeds: int
    """seeds with a value"""
    num_diverged: int
    num_censored: int
    num_collapsed: int
    """seeds whose network has a layer with no weight left between its input and output"""


def variants_of(rows: Iterable[Row]) -> list[str]:
    """Names in the order of figures: familiar ones first, then by name."""
    names = {row["variant"] for row in rows}
    rank = {name: n for n, name in enumerate(familiar_variants())}
    return sorted(names, key=lambda n: (rank.get(n.split(" (")[0], len(rank)), n))


def pruned_variants(rows: Iterable[Row]) -> list[str]:
    """Variants that have a round after round 0, in the order of figures."""
    return variants_of(row for row in rows if row["round"])


def by_round(
    rows: Sequence[Row], variant: str, metric: str, *, mean: Mean = fmean
) -> dict[int, Spread]:
    """Spread of a metric per round of one variant, densest first."""
    groups: dict[int, list[Row]] = defaultdict(list)
    for row in rows:
        if row["variant"] == variant:
            groups[row["round"]].append(row)
    return {n: spread(groups[n], metric, mean=mean) for n in sorted(groups)}


def extent(values: Sequence[float], mean: Mean = fmean) -> tuple[float, float, float]:
    """Mean, least and greatest value; rounding never moves the mean outside of them.

    >>> extent([0.1, 0.1, 0.1])
    (0.1, 0.1, 0.1)
    """
    low, high = min(values), max(values)
    return min(max(mean(values), low), high), low, high


def range_over(counts: Iterable[int], things: str = "seeds") -> str:
    """The range that bars and bands show; empty where there is one seed and so no range.

    Args:
        counts: numbers of seeds of the points.
        things: what is counted, if not seeds.

    >>> range_over([4, 4]), range_over([3, 5, 4]), range_over([1])
    ('min–max over 4 seeds', 'min–max over 3–5 seeds', '')
    """
    known = sorted({count for count in counts if count})
    if not known or known[-1] == 1:
        return ""
    return (
        f"min–max over {'–'.join(map(str, dict.fromkeys((known[0], known[-1]))))} {things}"
    )


def spread(rows: Sequence[Row], metric: str, *, mean: Mean = fmean) -> Spread:
    """Spread of a metric over rows; those without a value do not count in the mean."""
    values = [row[metric] for row in rows if row[metric] is not None]
    middle, low, high = extent(values, mean) if values else (None, None, None)
    return Spread(
        density=fmean(row["density"] for row in rows),
        mean=middle,
        low=low,
        high=high,
        num_seeds=len(values),
        num_diverged=sum(bool(row.get("diverged")) for row in rows),
        num_censored=sum(bool(row.get("censored")) for row in rows),
        num_collapsed=sum(bool(row.get("collapsed_layers")) for row in rows),
    )


def one_dense(rows: Sequence[Row], metric: str) -> list[Row] | None:
    """The rows of the dense network, one per seed; None if variants have different ones.

    Variants have different dense networks if results of several settings are drawn.
    """
    seen: dict[int, Row] = {}
    for row in rows:
        if row["round"] == 0:
            first = seen.setdefault(row["seed"], row)
            if first[metric] != row[metric]:
                return None
    return list(seen.values()) or None
