"""Apply the check of a claim to tracked runs: measured values, and statements to test.

A check becomes a family of statements, one per density. A statement has one value per
seed, and the bounds that the claim sets for the typical value. They are decided at the
looks that the experiment declared; what is measured is of the seeds of that look.
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
    against,
)
from pipeline.compare.densities import NEAR, Round, rounds_of
from pipeline.compare.fitting_runs import FittingRuns
from pipeline.compare.no_answer import NoAnswerError
from pipeline.compare.samples import (
    STEP,
    Groups,
    Sample,
    censored_seeds,
    family,
    family_of,
    leaving_density,
    log_ratio,
    minus,
    refuse_unmeasured,
    seeds_of,
    values_of,
    why_censored,
)
from pipeline.compare.units import UNITS, unit_of
from pipeline.core import winning_tickets
from pipeline.core.decisions import Decision, Family, Statement, decide, interval
from pipeline.core.statistics import Interval, share_interval, t_interval
from pipeline.results.tables import Row
from pipeline.results.winning import pairs_of

BARRIER = "error_barrier"
NO_COMMON_SEED = "no seed that all sides have in common at all densities"


@dataclass(frozen=True, kw_only=True, slots=True)
class Measured:
    """The measured value of a check, in the unit of the published number."""

    unit: str
    """a key of UNITS"""
    value: float | None
    low: float | None
    high: float | None
    """``low`` and ``high``: least and greatest seed, which include the value"""
    num_seeds: int
    """of those that the decision rests on"""
    family: Family
    decision: Decision
    interval: Interval | None = None
    """of the typical value, with the bounds of the deciding test; infinite ones where
    there are too few seeds"""
    of_t: Interval | None = None
    """Student's interval of the mean at 95 %"""
    notes: tuple[str, ...] = ()


def measure(check: Check, runs: FittingRuns) -> Measured:
    """Apply a check to the runs of its protocol.

    Raises:
        NoAnswerError: ``not run`` if the runs lack a density or a metric; ``not
            comparable`` if a censored early stop would have to be averaged.
    """
    return MEASURES[check.kind](check, runs)


def _difference(check: Difference | Equivalence, runs: FittingRuns) -> Measured:
    rounds = rounds_of(check, runs.rows)
    contrast = partial(minus, metric=check.metric, rule=runs.failures)
    samples = _contrasts(rounds, contrast, check.metric)
    if isinstance(check, Equivalence):
        low, high = -check.margin, check.margin
    else:
        low, high = _bounds(check.low, check.high)
    notes = _failed(check, runs, rounds)
    judged = family_of(samples, (low, high))
    return _worst(samples, judged, runs, unit=unit_of(check), notes=notes)


def _reading(check: Reading, runs: FittingRuns) -> Measured:
    rounds = rounds_of(check, runs.rows)
    samples = [
        Sample(
            density=one.density,
            groups=values_of(runs.failures.sound(one.rows, check.metric), check.metric),
            run=seeds_of(one.rows),
        )
        for one in rounds
    ]
    refuse_unmeasured(samples, check.metric)
    judged = family_of(samples, _bounds(check.low, check.high))
    notes = _failed(check, runs, rounds)
    return _worst(samples, judged, runs, unit=unit_of(check), notes=notes)


def _ratio(check: Ratio, runs: FittingRuns) -> Measured:
    rounds = rounds_of(check, runs.rows)
    samples = _contrasts(rounds, log_ratio, STEP, censored=censored_seeds)
    low, high = _bounds(check.low, check.high)
    judged = family_of(samples, (math.log(low) if low > 0 else low, math.log(high)))
    _refuse_censored(decide(judged, runs.looks), rounds)
    unit, notes = unit_of(check), _lost(rounds, STEP)
    return _worst(samples, judged, runs, unit=unit, notes=notes, log=True)


def _leaves(check: Leaves, runs: FittingRuns) -> Measured:
    rounds = rounds_of(check, runs.rows)
    contrast = partial(minus, metric=check.metric, rule=runs.failures)
    samples = _contrasts(rounds, contrast, check.metric)
    below = next(s for s in samples if s.density <= check.lower * NEAR)
    above = [s for s in samples if s.density * NEAR >= check.upper]
    statements = [Statement(values=s.means, low=-check.margin) for s in above]
    statements.append(Statement(values=below.means, high=-check.margin))
    judged = family([*above, below], statements)
    decision = decide(judged, runs.looks)
    found = {s.density: Statement(values=s.means).of(decision.seeds) for s in samples}
    means = {density: fmean(values) for density, values in found.items() if values}
    left = leaving_density(means, check.margin)
    notes = _failed(check, runs, rounds)
    if left is None:
        notes += ("it has not left by the last round",)
    return Measured(
        unit=unit_of(check),
        value=samples[-1].density if left is None else left,
        # No range: curves of single seeds are noisier than the mean and leave earlier.
        low=None,
        high=None,
        num_seeds=len(decision.seeds),
        family=judged,
        decision=decision,
        notes=notes,
    )


def _winning(check: Winning, runs: FittingRuns) -> Measured:
    rounds = rounds_of(check, runs.rows)
    pairs_at = [pairs_of(one.rows, one.against) for one in rounds]
    for one, pairs in zip(rounds, pairs_at, strict=True):
        if not any(all(pair) for pair in pairs.values()):
            raise NoAnswerError("not run", f"no seed survived at density {one.density:.1%}")
        if any(a and b and a.kept >= b.kept for a, b in pairs.values()):
            why = "the ticket keeps as many weights as the dense network"
            raise NoAnswerError("not comparable", why)
    judged = _that_they_win(rounds, pairs_at, runs.evaluate_every)
    decision = decide(judged, runs.looks)
    _refuse_censored(decision, rounds)
    if not any(all(all(known[seed]) for known in pairs_at) for seed in decision.seeds):
        raise NoAnswerError("not run", NO_COMMON_SEED)
    won, num = min(judged.counts(decision.seeds), key=lambda counts: counts[0] / counts[1])
    low, high = share_interval(won, num)
    where = "" if len(pairs_at) == 1 else f", at the worst of {len(pairs_at)} densities"
    return Measured(
        unit=unit_of(check),
        value=won / num,
        low=low,
        high=high,
        num_seeds=num,
        family=judged,
        decision=decision,
        notes=(
            f"wins in {won} of {num} seeds{where}; the range is a 95 % interval",
            *_diverged(pairs_at),
        ),
    )


def _that_they_win(
    rounds: Sequence[Round], pairs_at: Sequence[winning_tickets.Pairs], step_margin: float
) -> Family:
    """Not inferior on average, at each density, and winning in more than half of the seeds.

    Args:
        rounds: that the claim is about.
        pairs_at: tickets and dense networks of each of them.
        step_margin: steps between two evaluations.
    """
    statements: list[Statement] = []
    censored: frozenset[int] = frozenset()
    for pairs in pairs_at:
        hidden = winning_tickets.untestable(pairs)
        shown = {seed: pair for seed, pair in pairs.items() if seed not in hidden}
        both = winning_tickets.statements(shown, step_margin=step_margin)
        assert both is not None, "none of these seeds is untestable"
        statements += both
        censored |= hidden
    seeds = frozenset.intersection(*(seeds_of(one.rows, one.against) for one in rounds))
    return Family(
        statements=tuple(statements),
        seeds=tuple(sorted(seeds)),
        censored=censored & seeds,
        majorities=tuple(
            {n: winning_tickets.seed_wins(a, b) is True for n, (a, b) in pairs.items() if b}
            for pairs in pairs_at
        ),
    )


def _diverged(pairs_at: Sequence[winning_tickets.Pairs]) -> tuple[str, ...]:
    """Say how many trainings diverged, which is no win and has no part in the means."""
    tickets = sum(a is None and b is not None for ps in pairs_at for a, b in ps.values())
    dense = len({n for ps in pairs_at for n, (_, b) in ps.items() if b is None})
    told = (
        ("tickets that diverged, which do not win", tickets),
        ("dense networks that diverged, whose seeds are left out", dense),
    )
    return tuple(f"{what}: {num}" for what, num in told if num)


def _refuse_censored(decision: Decision, rounds: Sequence[Round]) -> None:
    """Raise NoAnswerError if no look decides because early stops are censored."""
    if decision.kind == "censored":
        sides = (rows for one in rounds for rows in (one.rows, one.against))
        raise NoAnswerError("not comparable", why_censored(sides, decision.seeds))


def _barrier(check: Barrier, runs: FittingRuns) -> Measured:
    if not runs.rows[check.variant]:
        raise NoAnswerError(
            "not run",
            f"no instability analysis of {check.variant} where copies part at step "
            f"{check.step:,}",
        )
    found = [(one.density, one.rows) for one in rounds_of(check, runs.rows)]
    by_statistics = {
        statistics: [
            _barriers([r for r in rows if r["statistics"] == statistics], density)
            for density, rows in found
        ]
        for statistics in dict.fromkeys(r["statistics"] for _, rows in found for r in rows)
    }
    nothing = Sample(density=found[0][0], groups={}, run=frozenset())
    samples = by_statistics.pop(check.statistics, [nothing])
    refuse_unmeasured(samples, BARRIER)
    notes = tuple(_barrier_notes([row for _, rows in found for row in rows], by_statistics))
    judged = family_of(samples, _bounds(check.low, check.high))
    return _worst(samples, judged, runs, unit=unit_of(check), notes=notes)


def _barriers(rows: Sequence[Row], density: float) -> Sample:
    return Sample(density=density, groups=values_of(rows, BARRIER), run=seeds_of(rows))


def _barrier_notes(
    rows: Sequence[Row], others: Mapping[str, Sequence[Sample]]
) -> Iterator[str]:
    """Notes on pairs without a barrier, and on barriers with other statistics of norms."""
    num = len({(r["round"], r["seed"], r["pair"]) for r in rows if r[BARRIER] is None})
    if num:
        yield f"{num} pairs of copies diverged and are left out"
    for statistics, samples in others.items():
        means = [mean for sample in samples for mean in sample.means.values()]
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
    judged: Family,
    runs: FittingRuns,
    *,
    unit: str,
    notes: tuple[str, ...],
    log: bool = False,
) -> Measured:
    """Decide about all densities; the values are those of the density with the worst fit.

    Args:
        samples: one per density.
        judged: the statements about them.
        runs: that the samples are of.
        unit: of the value.
        notes: on the samples.
        log: whether values are logarithms of what is shown.
    """
    decision = decide(judged, runs.looks)
    slacks = {
        n: one.slack(decision.seeds)
        for n, one in enumerate(judged.statements)
        if one.of(decision.seeds)
    }
    if not slacks:
        raise NoAnswerError("not run", NO_COMMON_SEED)
    worst = min(slacks, key=slacks.__getitem__)
    values = judged.statements[worst].of(decision.seeds)
    if len(samples) > 1:
        notes += (
            f"{len(samples)} densities from {samples[0].density:.1%} to "
            f"{samples[-1].density:.1%}, the least favorable "
            f"({samples[worst].density:.1%}) shown",
        )
    shown = math.exp if log else float
    several = len(values) > 1
    bounded = interval(values, runs.looks) if several else None
    of_t = t_interval(values) if several else None
    return Measured(
        unit=unit,
        value=shown(fmean(values)),
        low=shown(min(values)),
        high=shown(max(values)),
        num_seeds=len(values),
        family=judged,
        decision=decision,
        interval=_shown((fmean(values), *bounded), shown) if bounded else None,
        of_t=_shown((of_t.mean, of_t.low, of_t.high), shown) if of_t else None,
        notes=notes,
    )


def _shown(values: tuple[float, ...], shown: Callable[[float], float]) -> Interval:
    mean, low, high = map(shown, values)
    return Interval(mean=mean, low=low, high=high)


def _contrasts(
    rounds: Sequence[Round],
    contrast: Callable[[Sequence[Row], Sequence[Row]], Groups],
    metric: str,
    censored: Callable[..., frozenset[int]] = lambda *_: frozenset(),
) -> list[Sample]:
    samples = [
        Sample(
            density=one.density,
            groups=contrast(one.rows, one.against),
            run=seeds_of(one.rows, one.against),
            censored=censored(one.rows, one.against),
        )
        for one in rounds
    ]
    refuse_unmeasured(samples, metric)
    return samples


def _failed(
    check: Difference | Equivalence | Reading | Leaves,
    runs: FittingRuns,
    rounds: Sequence[Round],
) -> tuple[str, ...]:
    """A note on the seeds that failed in these rounds."""
    sides = {check.variant: [one.rows for one in rounds]}
    if (other := against(check)) is not None:
        sides[other] = [one.against for one in rounds]
    said = runs.failures.rates(sides, check.metric)
    return (said,) if said else ()


def _lost(rounds: Sequence[Round], metric: str) -> tuple[str, ...]:
    rows = {id(row): row for one in rounds for row in (*one.rows, *one.against)}.values()
    num = sum(bool(row["diverged"]) and row.get(metric) is None for row in rows)
    return (f"{num} trainings diverged and are left out",) if num else ()


def _bounds(low: float | None, high: float | None) -> tuple[float, float]:
    return -math.inf if low is None else low, math.inf if high is None else high
