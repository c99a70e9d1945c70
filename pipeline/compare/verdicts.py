"""Give every published claim a verdict, from the runs in tracked stores.

A verdict needs runs of the claim's protocol and at least MIN_SEEDS seeds. A claim agrees
if all its statements are shown, and disagrees if one is refuted. Otherwise the answer is
how many seeds would probably decide it.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from pipeline.compare import claims
from pipeline.compare.checks import UNIT_OF, UNITS, Measured, accepted, measure
from pipeline.compare.claims import Book, Claim
from pipeline.compare.fitting_runs import FittingRuns, NoAnswerError, fitting_runs
from pipeline.compare.samples import curve_of
from pipeline.compare.setups import Setup, setups
from pipeline.compare.untrained import failure, needed_accuracy
from pipeline.core.statistics import (
    ALPHA,
    MIN_SEEDS,
    MOST_SEEDS,
    Statement,
    decide,
    p_inside,
    seeds_needed,
    standard_deviation,
)
from pipeline.core.winning_tickets import WinningTest, confidence, smallest_winning
from pipeline.results import winning
from pipeline.tracking import TrackedStore

Verdict = Literal[
    "agrees",
    "disagrees",
    "not enough seeds",
    "not run",
    "not comparable",
    "the dense network did not train",
    "the pruned networks did not train",
]


@dataclass(frozen=True, kw_only=True, slots=True)
class Compared:
    """One claim, its measured value and its verdict."""

    id: str
    claim: str
    source: str
    """with the figure, and where the number was read"""
    published: float | str
    accepted: str
    """the range of values that agree, in words"""
    measured: float | None
    low: float | None
    """least seed"""
    high: float | None
    """greatest seed"""
    seeds: int
    verdict: Verdict
    note: str
    """the reason for the verdict, and its confidence"""
    unit: str
    """of ``published``, ``measured``, ``low`` and ``high``: a key of UNITS"""


def compare(stores: Sequence[TrackedStore], book: Book | None = None) -> list[Compared]:
    """Check every published claim, then the definition of a winning ticket on every ticket.

    Args:
        stores: experiments; without any, every claim gets the verdict "not run".
        book: the claims; None = those of the package.
    """
    book = book or claims.load()
    found = setups(stores)
    published = [_checked(claim, book, found) for claim in book.claims]
    return published + [row for setup in found for row in _definition(setup, book)]


def _checked(claim: Claim, book: Book, found: Sequence[Setup]) -> Compared:
    verdict: Verdict
    unit = UNIT_OF[claim.check.kind]
    try:
        runs = fitting_runs(claim, book, found)
    except NoAnswerError as answer:
        return _row(claim, answer.verdict, str(answer), unit=unit)
    untrained = _untrained(claim, book, runs)
    try:
        measured = measure(claim.check, runs)
    except NoAnswerError as answer:
        return _row(claim, *(untrained or (answer.verdict, str(answer))), unit=unit)
    verdict, why = untrained or _verdict(claim, measured)
    noise = "" if runs.common_noise else "each variant with its own data order"
    parts = [why, *_interval(measured), *measured.notes, noise]
    note = "; ".join(part for part in parts if part)
    return _row(claim, verdict, note, measured=measured, unit=measured.unit)


def _verdict(claim: Claim, measured: Measured) -> tuple[Verdict, str]:
    """The verdict, and the test that it rests on."""
    match decide(measured.family):
        case "inside":
            p_value = max(p_inside(statement) for statement in measured.family)
            exact = f"p = {p_value:.2g}" if p_value >= 1e-4 else "p < 0.0001"
            return "agrees", f"{exact} against the opposite"
        case "outside":
            return "disagrees", f"refuted at {ALPHA:.0%} (Holm)"
    return "not enough seeds", f"about {_seeds_to_decide(claim, measured)} needed"


def _seeds_to_decide(claim: Claim, measured: Measured) -> str:
    """How many seeds would decide, if the published (or the observed) number is true."""
    if any(len(statement.values) < 2 for statement in measured.family):
        return f"{MIN_SEEDS} or more"
    needed = max(_seeds_for(statement, claim, measured) for statement in measured.family)
    return f"{MOST_SEEDS:,} or more" if needed >= MOST_SEEDS else str(needed)


def _seeds_for(statement: Statement, claim: Claim, measured: Measured) -> int:
    """How many seeds one statement needs; no more than there are if it is shown."""
    num = len(statement.values)
    if num >= MIN_SEEDS and p_inside(statement) < ALPHA:
        return num
    std = standard_deviation(statement.values)
    bounds: Literal[1, 2] = (
        2 if math.isfinite(statement.low) and math.isfinite(statement.high) else 1
    )
    room = _room(claim.published, statement, measured.unit)
    if room > 0 and (needed := seeds_needed(std, room, bounds=bounds)) > num:
        return needed
    observed = abs(statement.slack())
    if observed == 0:
        return MOST_SEEDS
    return max(seeds_needed(std, observed), num + 1)


def _room(published: float | str, statement: Statement, unit: str) -> float:
    """Distance of the published number from the nearest bound; 0 without a number."""
    if isinstance(published, str) or unit not in ("points", "percent", "ratio"):
        return 0.0
    value = math.log(published) if unit == "ratio" else published
    return min(value - statement.low, statement.high - value)


def _untrained(claim: Claim, book: Book, runs: FittingRuns) -> tuple[Verdict, str] | None:
    """The verdict if the networks of a claim did not learn; None if they did.

    A claim gets no other verdict if the dense network failed, or if both sides of a
    contrast failed in their first round: a contrast of failures says nothing about
    pruning.
    """
    needed = book.protocols[claim.protocol].dense_accuracy
    if reason := failure(runs.dense, needed):
        return "the dense network did not train", reason
    against = getattr(claim.check, "against", claims.DENSE)
    if against == claims.DENSE:
        return None
    sides = {role: curve_of(runs, role) for role in (claim.check.variant, against)}
    reasons = [
        f"{role} at density {max(curve):.1%}: {reason}"
        for role, curve in sides.items()
        if curve and (reason := failure(curve[max(curve)], needed))
    ]
    if len(reasons) < len(sides):
        return None
    return "the pruned networks did not train", "; ".join(reasons)


def _definition(setup: Setup, book: Book) -> list[Compared]:
    """One row per variant of tickets: with its own masks, from the weights of step 0 or k.

    A network that was pruned while it trained is no ticket, because its training did
    not begin with the mask.
    """
    reason = failure(setup.dense, needed_accuracy(setup.settings, book))
    rows = []
    for recipe in setup.recipes:
        own = recipe.settings["mask.from"] == "own"
        names = ("rewind.to", "rewind.pruned", "mask.schedule")
        to, pruned, schedule = (recipe.settings.get(name) for name in names)
        if own and winning.are_tickets(to, pruned, schedule):
            every = int(setup.settings.get("train.evaluate_every", 0))
            tests = winning.tests_of(recipe.rows, evaluate_every=every)
            rows.append(_definition_row(recipe.name, tests, reason))
    return rows


def _definition_row(name: str, tests: Sequence[WinningTest], reason: str) -> Compared:
    verdict: Verdict = "not enough seeds"
    smallest = smallest_winning(tests)
    note = confidence(smallest) if smallest else winning.NO_WINNER
    if reason:
        verdict, note = "the dense network did not train", reason
    elif smallest and smallest.wins:
        verdict = "agrees"
    elif tests and all(t.p_loses is not None and t.p_loses < ALPHA for t in tests):
        verdict, note = "disagrees", f"shown to lose at all {len(tests)} densities"
    return Compared(
        id="winning-ticket",
        claim=f"Smallest density that is a winning ticket, {name}.",
        source="Frankle & Carbin 2019, arXiv:1803.03635, section 1 (definition) [paper]",
        published="there is one",
        accepted=accepted(claims.Winning(kind="winning", variant="ticket", at=(1.0,))),
        measured=smallest.density if smallest else None,
        low=None,
        high=None,
        seeds=min((test.num_seeds for test in tests), default=0),
        verdict=verdict,
        note=note,
        unit="density",
    )


def _row(
    claim: Claim,
    verdict: Verdict,
    note: str,
    *,
    unit: str,
    measured: Measured | None = None,
) -> Compared:
    return Compared(
        id=claim.id,
        claim=claim.claim,
        source=f"{claim.source}, {claim.where} [{claim.sure}]",
        published=claim.published,
        accepted=accepted(claim.check),
        measured=measured.value if measured else None,
        low=measured.low if measured else None,
        high=measured.high if measured else None,
        seeds=measured.num_seeds if measured else 0,
        verdict=verdict,
        note=note,
        unit=unit,
    )


def _interval(measured: Measured) -> list[str]:
    if measured.interval is None:
        return []
    low, high = map(UNITS[measured.unit], (measured.interval.low, measured.interval.high))
    return [f"95 % interval {low} to {high}"]
