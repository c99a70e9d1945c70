"""Apply the check of a claim to tracked runs: measured values, and statements to test.

A check becomes a family of statements, one per density. A statement has one value per
seed, and the bounds that the claim sets for the mean of the values.
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from statistics import fmean
from types import MappingProxyType

from pipeline.compare.claims import (
    Barrier,
    Check,
    Difference,
    Equivalence,
    Leaves,
    Ratio,
    Reading,
    Winning,
)
from pipeline.compare.fitting_runs import FittingRuns, NoAnswerError
from pipeline.compare.samples import (
    NEAR,
    STEP,
    Groups,
    Sample,
    at_density,
    curve_of,
    leaving_density,
    log_ratio,
    minus,
    picked,
    refuse_unmeasured,
    values_of,
    why_censored,
)
from pipeline.core import winning_tickets
from pipeline.core.statistics import Interval, Statement, share_interval
from pipeline.results.tables import Row
from pipeline.results.winning import reached

UNITS: Mapping[str, Callable[[float], str]] = MappingProxyType(
    {
        "points": lambda v: f"{100 * v:+.2f} pp",
        "percent": lambda v: f"{100 * v:.2f} %",
        "density": lambda v: f"{100 * v:.3g} %",
        "share": lambda v: f"{100 * v:.0f} %",
        "ratio": lambda v: f"{v:.2f}×",
    }
)
BARRIER = "error_barrier"

UNIT_OF = MappingProxyType(
    {
        "difference": "points",
        "equivalence": "points",
        "reading": "percent",
        "ratio": "ratio",
        "leaves": "density",
        "winning": "share",
        "barrier": "percent",
    }
)
"""kind of check -> unit of its published number"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Measured:
    """The measured value of a check, in the unit of the published number."""

    unit: str
    """a key of UNITS"""
    value: float | None
    low: float | None
    high: float | None
    """``low`` and ``high``: least and greatest seed"""
    num_seeds: int
    family: tuple[Statement, ...]
    interval: Interval | None = None
    """of the mean, at 95 %"""
    notes: tuple[str, ...] = ()


def measure(check: Check, runs: FittingRuns) -> Measured:
    """Apply a check to the runs of its protocol.

    Raises:
        NoAnswerError: ``not run`` if the runs lack a density or a metric; ``not
            comparable`` if a censored early stop would have to be averaged.
    """
    return MEASURES[check.kind](check, runs)


def accepted(check: Check) -> str:
    """The bounds and margins of a check in words: a value inside of them agrees."""
    match check:
        case Leaves():
            upper, lower = (UNITS["density"](d) for d in (check.upper, check.lower))
            return f"between {upper} and {lower}, by {100 * check.margin:g} pp"
        case Winning():
            points = 100 * winning_tickets.ACCURACY_MARGIN
            return f"margins {points:g} pp and one evaluation"
        case Equivalence():
            return f"± {100 * check.margin:g} pp"
        case _:
            return _range(check.low, check.high, UNITS[UNIT_OF[check.kind]])


def _difference(check: Difference | Equivalence, runs: FittingRuns) -> Measured:
    samples = _contrasts(check, runs, partial(minus, metric=check.metric))
    if isinstance(check, Equivalence):
        low, high = -check.margin, check.margin
    else:
        low, high = _bounds(check.low, check.high)
    notes = _lost(runs, check.metric)
    return _worst(samples, (low, high), unit=UNIT_OF[check.kind], notes=notes)


def _reading(check: Reading, runs: FittingRuns) -> Measured:
    curve = curve_of(runs, check.variant)
    samples = [
        Sample(density=density, groups=values_of(rows, check.metric))
        for density, rows in picked(curve, check.at)
    ]
    refuse_unmeasured(samples, check.metric)
    notes = _lost(runs, check.metric)
    return _worst(
        samples, _bounds(check.low, check.high), unit=UNIT_OF[check.kind], notes=notes
    )


def _ratio(check: Ratio, runs: FittingRuns) -> Measured:
    against_at = None if check.against_at is None else (check.against_at,)
    samples = _contrasts(check, runs, log_ratio, against_at=against_at)
    low, high = _bounds(check.low, check.high)
    bounds = (math.log(low) if low > 0 else low, math.log(high))
    notes = _lost(runs, STEP)
    return _worst(samples, bounds, unit=UNIT_OF[check.kind], notes=notes, shown=math.exp)


def _leaves(check: Leaves, runs: FittingRuns) -> Measured:
    curve, other = (curve_of(runs, r) for r in (check.variant, check.against))
    if min(curve, default=1.0) > check.lower * NEAR:
        raise NoAnswerError("not run", f"no round at density {check.lower:.1%} or below")
    samples = [
        Sample(density=d, groups=minus(rows, at_density(other, d), metric=check.metric))
        for d, rows in sorted(curve.items(), reverse=True)
    ]
    refuse_unmeasured(samples, check.metric)
    below = next(s for s in samples if s.density <= check.lower * NEAR)
    above = [s for s in samples if s.density * NEAR >= check.upper]
    family = [Statement(values=s.means, low=-check.margin) for s in above]
    family.append(Statement(values=below.means, high=-check.margin))
    mean = leaving_density({s.density: fmean(s.means) for s in samples}, check.margin)
    seeds = sorted(set.intersection(*(set(s.groups) for s in samples)))
    per_seed = [
        leaving_density({s.density: fmean(s.groups[seed]) for s in samples}, check.margin)
        for seed in seeds
    ]
    notes = _lost(runs, check.metric)
    if mean == samples[-1].density:
        notes += ("it has not left in the last round",)
    return Measured(
        unit=UNIT_OF[check.kind],
        value=mean,
        low=min(per_seed, default=None),
        high=max(per_seed, default=None),
        num_seeds=min(len(s.values) for s in family),
        family=tuple(family),
        notes=notes,
    )


def _winning(check: Winning, runs: FittingRuns) -> Measured:
    dense = {row["seed"]: reached(row) for row in runs.dense}
    family: list[Statement] = []
    least: tuple[float, int, int] | None = None
    for density, rows in picked(curve_of(runs, check.variant), check.at):
        pairs = [
            (ticket, whole)
            for row in rows
            if (ticket := reached(row)) and (whole := dense.get(row["seed"]))
        ]
        if not pairs:
            raise NoAnswerError("not run", f"no seed survived at density {density:.1%}")
        both = winning_tickets.statements(pairs, step_margin=runs.evaluate_every)
        if both is None:
            raise NoAnswerError(
                "not comparable", why_censored([*rows, *runs.dense], density)
            )
        family += both
        won = sum(winning_tickets.seed_wins(*pair) is True for pair in pairs)
        if least is None or won / len(pairs) < least[0]:
            least = won / len(pairs), won, len(pairs)
    assert least is not None, "a check names at least one density"
    share, won, num = least
    low, high = share_interval(won, num)
    return Measured(
        unit=UNIT_OF[check.kind],
        value=share,
        low=low,
        high=high,
        num_seeds=num,
        family=tuple(family),
        notes=(f"share of seeds that win, {won} of {num}, with its 95 % interval",),
    )


def _barrier(check: Barrier, runs: FittingRuns) -> Measured:
    rounds: dict[int, list[Row]] = {}
    for row in runs.rows[check.variant]:
        rounds.setdefault(row["round"], []).append(row)
    if not rounds:
        raise NoAnswerError(
            "not run",
            f"no instability analysis of {check.variant} where copies part at step "
            f"{check.step:,}",
        )
    curve = {fmean(row["density"] for row in rows): rows for rows in rounds.values()}
    found = picked(curve, check.at)
    by_statistics: dict[str, list[Sample]] = {
        statistics: [
            Sample(
                density=density,
                groups=values_of(
                    [row for row in rows if row["statistics"] == statistics], BARRIER
                ),
            )
            for density, rows in found
        ]
        for statistics in dict.fromkeys(
            row["statistics"] for _, rows in found for row in rows
        )
    }
    samples = by_statistics.pop(check.statistics, [Sample(density=found[0][0], groups={})])
    refuse_unmeasured(samples, BARRIER)
    return _worst(
        samples,
        _bounds(check.low, check.high),
        unit=UNIT_OF[check.kind],
        notes=tuple(
            _barrier_notes([row for _, rows in found for row in rows], by_statistics)
        ),
    )


def _barrier_notes(
    rows: Sequence[Row], others: Mapping[str, Sequence[Sample]]
) -> Iterator[str]:
    """Notes on pairs without a barrier, and on barriers with other statistics of norms."""
    num = len({(r["round"], r["seed"], r["pair"]) for r in rows if r[BARRIER] is None})
    if num:
        yield f"{num} pairs of copies diverged and are left out"
    for statistics, samples in others.items():
        means = [mean for sample in samples for mean in sample.means]
        if means:
            yield f"{UNITS['percent'](fmean(means))} with {statistics} statistics"


MEASURES: Mapping[str, Callable[..., Measured]] = MappingProxyType(
    {
        "difference": _difference,
        "equivalence": _difference,
        "reading": _reading,
        "ratio": _ratio,
        "leaves": _leaves,
        "winning": _winning,
        "barrier": _barrier,
    }
)


def _worst(
    samples: Sequence[Sample],
    bounds: tuple[float, float],
    *,
    unit: str,
    notes: tuple[str, ...],
    shown: Callable[[float], float] = float,
) -> Measured:
    """Measure all densities; the values are those of the density with the worst fit."""
    low, high = bounds
    family = [Statement(values=s.means, low=low, high=high) for s in samples]
    worst = min(range(len(family)), key=lambda n: family[n].slack())
    values, interval = family[worst].values, samples[worst].interval()
    if len(samples) > 1:
        notes += (
            f"{len(samples)} densities, the least favorable "
            f"({samples[worst].density:.1%}) shown",
        )
    if interval is not None:
        interval = Interval(
            mean=shown(interval.mean), low=shown(interval.low), high=shown(interval.high)
        )
    return Measured(
        unit=unit,
        value=shown(fmean(values)),
        low=shown(min(values)),
        high=shown(max(values)),
        num_seeds=min(len(s.values) for s in family),
        family=tuple(family),
        interval=interval,
        notes=notes,
    )


def _contrasts(
    check: Difference | Equivalence | Ratio,
    runs: FittingRuns,
    contrast: Callable[[Sequence[Row], Sequence[Row]], Groups],
    against_at: Sequence[float] | None = None,
) -> list[Sample]:
    curve, other = (curve_of(runs, r) for r in (check.variant, check.against))
    samples = []
    for density, rows in picked(curve, check.at):
        if against_at is None:
            against = at_density(other, density)
        else:
            ((_, against),) = picked(other, against_at)
        samples.append(Sample(density=density, groups=contrast(rows, against)))
    refuse_unmeasured(samples, STEP if isinstance(check, Ratio) else check.metric)
    return samples


def _lost(runs: FittingRuns, metric: str) -> tuple[str, ...]:
    rows = [row for found in runs.rows.values() for row in found]
    num = sum(bool(row["diverged"]) and row.get(metric) is None for row in rows)
    return (f"{num} trainings diverged and are left out",) if num else ()


def _range(low: float | None, high: float | None, shown: Callable[[float], str]) -> str:
    if low is not None and high is not None:
        return f"{shown(low)} to {shown(high)}"
    return f"below {shown(high)}" if high is not None else f"above {shown(low or 0.0)}"


def _bounds(low: float | None, high: float | None) -> tuple[float, float]:
    return -math.inf if low is None else low, math.inf if high is None else high
