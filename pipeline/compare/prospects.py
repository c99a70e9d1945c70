"""Say before a run which published claims it can judge, and how well.

The settings are turned into the results that they will have: densities as planned, and
numbers that stand for any. Whatever keeps a claim from a verdict then, such as too short a
training, other settings, a missing variant, density or analysis, or too few seeds, will
keep it from one after the run.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from pipeline.artifacts.paths import DENSE
from pipeline.compare import claims
from pipeline.compare.checks import measure
from pipeline.compare.claims import Book, Claim
from pipeline.compare.fitting_runs import fitting_runs
from pipeline.compare.no_answer import NoAnswerError
from pipeline.compare.setups import is_about, setups
from pipeline.config import params
from pipeline.config.settings import Settings, total_steps
from pipeline.core.looks import Looks
from pipeline.core.power import effect_seen, power
from pipeline.plan import compiler, trained
from pipeline.plan.places import places
from pipeline.results.tables import Row
from pipeline.tracking import TrackedStore
from pipeline.tracking.formats import params as recorded

MOST_NAMED = 30
"""how many claims are listed one by one"""
ABSENT = 100
"""how far off a verdict is without a run: further than with any number of settings"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Prospect:
    """A claim that is about this model and data, and what a run will say of it."""

    claim: Claim
    obstacle: str
    """why there will be no verdict; empty if there can be one"""
    away: int = 0
    """how far off a verdict is: 0 with too few seeds or one setting that differs, one more
    for each further setting, ABSENT where there is no such run"""
    power: float | None = None
    """chance of a verdict that agrees if the published number is the true one; None
    without a number, or where the spread is not known"""
    effect: float | None = None
    """the effect, in standard deviations over seeds, that is seen in 4 of 5 cases; None
    where there will be no verdict"""
    num_statements: int = 1
    """that must all be shown, such as one per density"""


def prospects(settings: Settings, raw: dict[str, Any]) -> list[Prospect]:
    """List the claims about a run of these settings, and whether it can judge them.

    Args:
        settings: of the run.
        raw: the same as plain values, as they will be recorded.

    Returns:
        One entry per claim about a model and data of these settings.
    """
    book = claims.load()
    found = setups([_expected(settings, raw)])
    looks = settings.declared_looks
    results = []
    for claim in book.claims:
        protocol = book.protocols[claim.protocol].settings
        if any(is_about(setup.settings, protocol) for setup in found):
            results.append(_prospect(claim, book, found, looks, len(settings.seeds)))
    return results


def describe(settings: Settings, raw: dict[str, Any]) -> str:
    """The prospects in some lines: the claims that can be judged, or why none can."""
    found = prospects(settings, raw)
    if not found:
        return "verdicts: none; no published claim is about this model and data"
    can = [one for one in found if not one.obstacle]
    of = f"verdicts: {len(can) or 'none'} of the {len(found)} published claims about this"
    if not can:
        return f"{of} model and data can be judged\n  {_why_none(found)}"
    looks = settings.declared_looks
    judged = looks.reached(len(settings.seeds))[-1]
    lines = [
        f"{of} model and data can be judged, at {judged} seeds (declared looks: {looks}); "
        "after the run, `lt-pipeline compare` does it"
    ]
    lines += [f"  {one.claim.id}: {_how_well(one)}" for one in can[:MOST_NAMED]]
    if len(can) > MOST_NAMED:
        lines.append(f"  and {len(can) - MOST_NAMED} more")
    return "\n".join(lines)


def _why_none(found: Sequence[Prospect]) -> str:
    # The nearest obstacle is what a user would change first.
    reasons = Counter((one.away, one.obstacle) for one in found)
    (_, reason), num = min(reasons.items(), key=lambda item: (item[0][0], -item[1]))
    return f"the nearest obstacle, of {num} claim{'s' * (num > 1)}: {reason}"


def _how_well(one: Prospect) -> str:
    if one.power is not None:
        return f"agrees in {one.power:.0%} of runs if the published number is the true one"
    num = one.num_statements
    each = f" in each of {num} statements" if num > 1 else ""
    return f"an effect of {one.effect:.1f} standard deviations{each} is seen in 4 of 5 runs"


def _prospect(
    claim: Claim, book: Book, found: Sequence[Any], looks: Looks, num_seeds: int
) -> Prospect:
    try:
        runs = fitting_runs(claim, book, found)
        measured = measure(claim.check, runs)
    except NoAnswerError as answer:
        away = ABSENT if answer.verdict == "not run" else answer.further
        return Prospect(claim=claim, obstacle=str(answer), away=away)
    reached = looks.reached(len(measured.family.seeds))
    if not reached:
        needed = f"(the first look is at {looks.first})"
        return Prospect(claim=claim, obstacle=f"{num_seeds} seeds {needed}")
    family = measured.family
    return Prospect(
        claim=claim,
        obstacle="",
        power=_power(claim, book, len(family.statements), reached[-1], looks),
        effect=effect_seen(reached[-1], looks, family.num_tests),
        num_statements=len(family.statements),
    )


def _power(
    claim: Claim, book: Book, num_statements: int, num: int, looks: Looks
) -> float | None:
    """The chance that a claim agrees if its published number is the true one."""
    spread = claims.spread_of(claim, book)
    room = claims.room(claim)
    if spread is None or room is None:
        return None
    # All bounds of all statements must be passed; the chances of failing at one add up.
    failing = sum(1 - power(num, one / spread, looks) for one in room if one > 0)
    return max(0.0, 1 - num_statements * failing) if all(one > 0 for one in room) else 0.0


def _expected(settings: Settings, raw: dict[str, Any]) -> TrackedStore:
    rows = [
        row
        for task, variants in compiler.active(settings).items()
        for variant in variants
        if variant != DENSE
        for row in _rows(settings, task, variant)
    ]
    names = dict.fromkeys((row["task"], row["variant"]) for row in rows)
    behind = {name: recorded(params.behind_in(raw, *name)) for name in names}
    return TrackedStore(
        experiment=settings.experiment,
        rounds=tuple(rows),
        layers=(),
        curves=(),
        settings=behind,
        barriers=tuple(_barriers(settings)),
        analyses=_analyses(settings, raw),
        looks=settings.declared_looks,
    )


def _rows(settings: Settings, task: str, variant: str) -> Iterator[Row]:
    steps = total_steps(settings.tasks[task])
    densities = trained.densities_of(settings, task, variant)
    for number, density in enumerate(densities):
        for seed in settings.seeds:
            yield {
                "task": task,
                "variant": variant,
                "round": number,
                "seed": seed,
                "density": density,
                "kept": round(1e6 * density),
                "test_accuracy": 1.0,
                "test_accuracy_early_stop": 1.0,
                "test_loss": 0.0,
                "early_stop_step": max(1, steps // 2),
                "censored": False,
                "diverged": False,
                "steps": steps,
            }


def _barriers(settings: Settings) -> Iterator[Row]:
    for place in places(settings, [settings.seeds]):
        analysis = settings.analyses[place.analysis]
        density = 1.0
        if analysis.of != DENSE:
            densities = trained.densities_of(settings, place.task, analysis.of)
            density = densities[place.round]
        for seed in settings.seeds:
            yield {
                "task": place.task,
                "analysis": place.analysis,
                "kind": analysis.kind,
                "of": analysis.of,
                "to": analysis.to,
                "round": place.round,
                "step": place.step,
                "density": density,
                "seed": seed,
                "pair": 0,
                "statistics": "interpolated",
                "error_barrier": 0.0,
            }


def _analyses(
    settings: Settings, raw: dict[str, Any]
) -> dict[tuple[str, str], dict[str, str]]:
    found = {}
    for name, analysis in settings.analyses.items():
        for task in analysis.tasks:
            of = None if analysis.of == DENSE else analysis.of
            points = {"analysis": {"points": analysis.points}}
            found[task, name] = recorded(params.behind_in(raw, task, of) | points)
    return found
