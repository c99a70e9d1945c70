"""Say what a verdict rests on: its test, its interval, and the seeds that it needs."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

from pipeline.compare.checks import Measured
from pipeline.compare.claims import Claim, room
from pipeline.compare.units import UNITS
from pipeline.core.decisions import Statement, evidence_against
from pipeline.core.looks import Looks
from pipeline.core.power import MOST_SEEDS, seeds_needed, spread_of
from pipeline.core.sign_flips import least_values
from pipeline.core.statistics import standard_deviation


def shown(claim: Claim, measured: Measured, looks: Looks) -> str:
    """Why a claim agrees, and whether its number does as well as the accepted range."""
    if measured.family.majorities:
        why = _not_inferior(measured, looks)
        return f"{why}; that most seeds win is counted, not tested"
    text = f"{_test_of(measured, looks)}, against lying outside the accepted range"
    if excludes(claim, measured):
        number = _in_unit(measured, claim.published)
        text += f"; the published {number} itself lies outside the interval"
    return text


def refuted(measured: Measured, looks: Looks) -> str:
    """Why a claim disagrees."""
    tests = f"{_test_of(measured, looks)}{_corrected(measured)}"
    return f"{tests}, against lying in the accepted range"


def minority(measured: Measured, looks: Looks) -> str:
    """Why a claim disagrees that more than half of the seeds should bear out."""
    by = "1 / e-value" if looks.open else "the binomial"
    tests = f"{_test_of(measured, looks, by=by)}{_corrected(measured)}"
    return f"{tests}, against winning in more than half of the seeds"


def no_majority(measured: Measured, looks: Looks) -> str:
    """Why a claim is open that only a part of the seeds bears out."""
    why = _not_inferior(measured, looks)
    ended = not looks.open and measured.decision.look == len(looks.at)
    more = ", and the declared looks end here" if ended else ""
    return f"{why}; but wins in at most half of the seeds, not refuting a majority{more}"


def _not_inferior(measured: Measured, looks: Looks) -> str:
    return f"not inferior on average, within the margins: {_test_of(measured, looks)}"


def _corrected(measured: Measured) -> str:
    num = measured.family.num_tests
    return "" if num == 1 else f", corrected for {num} tests"


def _test_of(measured: Measured, looks: Looks, by: str = "") -> str:
    """The p-value of a decision, its test, Student's t beside it, and its look."""
    decision = measured.decision
    assert decision.p_value is not None
    by = by or ("1 / e-value" if looks.open else "sign flips")
    text = f"one-sided p = {_p(decision.p_value)} by {by}"
    if decision.p_of_t is not None:
        doubt = decision.p_of_t > looks.level
        skewed = ", which does not show it: skewed, look at the runs" if doubt else ""
        text += f" (t: {_p(decision.p_of_t)}{skewed})"
    text += f", {_look(measured, looks)}"
    if not decision.kept:
        text += ", which the last look does not repeat"
    return text


def intervals(measured: Measured) -> Iterator[str]:
    """The interval of the deciding test, else Student's."""
    of_test, of_t = measured.interval, measured.of_t
    if of_test is not None and not math.isinf(of_test.high):
        low, high = (_in_unit(measured, v) for v in (of_test.low, of_test.high))
        yield f"interval of the test {low} to {high}"
    elif of_t is not None:
        low, high = (_in_unit(measured, v) for v in (of_t.low, of_t.high))
        yield f"95 % interval {low} to {high} (t)"


def excludes(claim: Claim, measured: Measured) -> bool:
    """Whether a published number lies outside of the interval."""
    if isinstance(claim.published, str) or room(claim) is None:
        return False
    found = measured.interval
    if found is None or math.isinf(found.high):
        found = measured.of_t
    return found is not None and not found.low <= claim.published <= found.high


def seeds_to_decide(claim: Claim, measured: Measured, looks: Looks) -> str:
    """How many seeds would probably decide, and what that assumes."""
    seeds = measured.decision.seeds
    late = "" if measured.decision.look else f"the first look is at {looks.first} seeds; "
    if any(len(one.of(seeds)) < 2 for one in measured.family.statements):
        return f"{late}{looks.first} or more needed"
    ranges = [_needed(one, claim, measured, looks) for one in measured.family.statements]
    least = max(found.least for found in ranges)
    most = max(found.most for found in ranges)
    assumed = "observed" if any(found.observed for found in ranges) else "published"
    span = f"{least}" if least == most else f"{least} to {most}"
    if most >= MOST_SEEDS:
        span = f"{least} or more" if least < MOST_SEEDS else f"{MOST_SEEDS:,} or more"
    ended = not looks.open and most > looks.at[-1]
    beyond = f" (the declared looks end at {looks.at[-1]})" if ended else ""
    return f"{late}about {span} needed{beyond}, if the {assumed} value is the true one"


@dataclass(frozen=True, kw_only=True, slots=True)
class _Needed:
    """How many seeds a statement needs."""

    least: int
    most: int
    observed: bool = False
    """whether the observed value is assumed to be the true one, not the published"""


def _needed(
    statement: Statement, claim: Claim, measured: Measured, looks: Looks
) -> _Needed:
    """How many seeds one statement needs; no more than there are if it is shown.

    The range is that of the standard deviation, which few seeds tell badly. The published
    value is assumed to be true, unless there is none or the interval excludes it. All
    statements that are not shown yet must be, which takes more seeds than one does.
    """
    seeds = measured.decision.seeds
    values = statement.of(seeds)
    num, std = len(seeds), standard_deviation(values)
    reached = measured.decision.look > 0
    left = _left(measured, looks) if reached else list(measured.family.statements)
    if statement not in left:
        return _Needed(least=num, most=num)
    distance = 0.0 if excludes(claim, measured) else min(room(claim) or (0.0,))
    observed = distance <= 0
    if observed:
        distance = abs(statement.slack(seeds))
    if distance == 0:
        return _Needed(least=MOST_SEEDS, most=MOST_SEEDS, observed=True)
    refuting = observed and statement.slack(seeds) < 0
    bounds = 1 if refuting else len(left) * (1 if observed else statement.num_bounds)
    tests = measured.family.num_tests if refuting else 1
    floor = max(least_values(looks.level, tests), num + reached)
    least, most = (
        _at_a_look(max(seeds_needed(one, distance, looks, bounds), floor), looks)
        for one in spread_of(std, len(values))
    )
    return _Needed(least=least, most=most, observed=observed)


def _left(measured: Measured, looks: Looks) -> list[Statement]:
    """The statements that are not shown."""
    seeds, above = measured.decision.seeds, evidence_against(looks)
    return [
        one
        for one in measured.family.statements
        if one.p_inside(seeds, above) > looks.level
    ]


def _at_a_look(num: int, looks: Looks) -> int:
    """The declared number of seeds from this one on; itself beyond the last look."""
    return min((at for at in looks.at if at >= num), default=num)


def _look(measured: Measured, looks: Looks) -> str:
    seeds = len(measured.decision.seeds)
    if looks.open:
        return f"{seeds} seeds, open-ended: valid however many are added"
    where = f"look {measured.decision.look} of {len(looks.at)}"
    return f"{where} at {seeds} seeds, level {looks.level:g}"


def _in_unit(measured: Measured, value: float | str) -> str:
    return value if isinstance(value, str) else UNITS[measured.unit](value)


def _p(value: float) -> str:
    return f"{value:.2g}" if value >= 1e-4 else "0.0001 or less"
