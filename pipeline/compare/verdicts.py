"""Give every published claim a verdict, from the runs in tracked stores.

A verdict needs runs of the claim's protocol, and as many seeds as the first look that the
experiment declared. A claim agrees if all its statements are shown, and disagrees if one is
refuted. Otherwise the answer is how many seeds would probably decide it.

A ticket may be below the dense network in every seed, by less than the margin. So that it
wins is asked of more than half of the seeds, too: a count, which no test backs. That it
does not is tested.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from pipeline.compare import claims, reasons
from pipeline.compare.checks import Measured, measure
from pipeline.compare.claims import Book, Claim
from pipeline.compare.densities import curve_of
from pipeline.compare.fitting_runs import FittingRuns, fitting_runs
from pipeline.compare.no_answer import NO_DENSE, NoAnswerError
from pipeline.compare.setups import Setup, common, setups
from pipeline.compare.units import accepted, unit_of
from pipeline.compare.untrained import failure, needed_accuracy
from pipeline.core.decisions import Family
from pipeline.core.looks import ALPHA, Looks
from pipeline.core.statistics import t_above
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


BEFORE = 6
"""number of seeds from which the rule before gave verdicts"""


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
    experiment: str = ""
    """the MLflow experiments that the number was measured in"""
    by_t: str = ""
    """what Student's t at 5 % says of all seeds, whatever the looks: the rule of verdicts
    until 2026-11-28; empty with fewer than BEFORE seeds"""
    judged: bool = False
    """whether it was tested, so that chance alone may have given the verdict"""


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
    unit = unit_of(claim.check)
    try:
        runs = fitting_runs(claim, book, found)
    except NoAnswerError as answer:
        return _row(claim, answer.verdict, str(answer), unit=unit)
    untrained = _untrained(claim, book, runs)
    try:
        measured = measure(claim.check, runs)
    except NoAnswerError as answer:
        return _row(claim, *(untrained or (answer.verdict, str(answer))), unit=unit)
    verdict, why = untrained or _verdict(claim, measured, runs.looks)
    noise = "" if runs.common_noise else "each variant with its own data order"
    parts = [why, *reasons.intervals(measured), *measured.notes, noise]
    note = "; ".join(part for part in parts if part)
    row = _row(claim, verdict, note, measured=measured, unit=measured.unit)
    judged = not untrained and measured.decision.look > 0
    return replace(
        row,
        experiment=", ".join(runs.experiments),
        judged=judged,
        by_t=_by_t(measured.family),
    )


def _verdict(claim: Claim, measured: Measured, looks: Looks) -> tuple[Verdict, str]:
    """The verdict, and the test that it rests on."""
    kind = measured.decision.kind
    if kind == "outside":
        return "disagrees", reasons.refuted(measured, looks)
    if kind == "minority":
        return "disagrees", reasons.minority(measured, looks)
    if kind == "no majority":
        return "not enough seeds", reasons.no_majority(measured, looks)
    if kind == "inside":
        return "agrees", reasons.shown(claim, measured, looks)
    return "not enough seeds", reasons.seeds_to_decide(claim, measured, looks)


def _by_t(family: Family) -> str:
    known = min(len(one.of(family.seeds)) for one in family.statements)
    if known < BEFORE:
        return ""
    if family.refuted(family.seeds, t_above) < ALPHA:
        return "disagrees"
    return "agrees" if family.shown(family.seeds, t_above) < ALPHA else "not enough seeds"


def _untrained(claim: Claim, book: Book, runs: FittingRuns) -> tuple[Verdict, str] | None:
    """The verdict if the networks of a claim did not learn; None if they did.

    A claim gets no other verdict if the dense network failed, or if both sides of a
    contrast failed in their first round: a contrast of failures says nothing about
    pruning.
    """
    needed = book.protocols[claim.protocol].dense_accuracy
    if reason := failure(runs.dense, needed):
        return "the dense network did not train", reason
    other = claims.against(claim.check)
    if other in (None, claims.DENSE):
        return None
    sides = {role: curve_of(runs.rows[role]) for role in claims.roles(claim.check)}
    reasons = [
        f"{role} at density {max(rounds):.1%}: {reason}"
        for role, rounds in sides.items()
        if rounds and (reason := failure(rounds[max(rounds)], needed))
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
        found = recipe.settings
        own = found["mask.from"] == "own" and "rewind.task" not in found
        names = ("rewind.to", "rewind.pruned", "mask.schedule")
        to, pruned, schedule = (recipe.settings.get(name) for name in names)
        if own and winning.are_tickets(to, pruned, schedule):
            every = int(setup.settings.get("train.evaluate_every", 0))
            looks = common(setup.looks[name] for name in recipe.runs)
            tests = winning.tests_of(recipe.rows, evaluate_every=every, looks=looks)
            row = _definition_row(recipe.name, tests, reason)
            if not setup.dense:
                row = replace(row, verdict="not run", note=NO_DENSE)
            rows.append(replace(row, experiment=", ".join(recipe.runs)))
    return rows


def _definition_row(name: str, tests: Sequence[WinningTest], reason: str) -> Compared:
    verdict: Verdict = "not enough seeds"
    smallest = smallest_winning(tests)
    note = confidence(smallest) if smallest else winning.NO_WINNER
    if reason:
        verdict, note = "the dense network did not train", reason
    elif smallest and smallest.wins:
        verdict = "agrees"
    elif tests and all(test.loses for test in tests):
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
        judged=not reason and any(test.p_value is not None for test in tests),
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
