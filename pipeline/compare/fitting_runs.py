"""Choose the tracked runs that a claim is checked against."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from pipeline.compare.claims import (
    DENSE,
    Barrier,
    Book,
    Check,
    Claim,
    Required,
    densities,
    roles,
)
from pipeline.compare.setups import Recipe, Setup, differences, fits, is_about
from pipeline.core.looks import Looks
from pipeline.results.tables import Row

MOST_DIFFERENCES = 3
"""how many differences a reason names"""
REACHED = 1.3
"""the last round may be denser than the end of a range by this factor"""
DRAW = "rewind.draw"
"""runs that differ in this setting only are repetitions from the same initialization"""


class NoAnswerError(Exception):
    """A claim cannot be checked: its verdict is ``not run`` or ``not comparable``.

    Args:
        verdict: on the claim.
        why: the first obstacles, in words.
        further: how many other settings differ besides the first one.
    """

    def __init__(
        self, verdict: Literal["not run", "not comparable"], why: str, further: int = 0
    ) -> None:
        super().__init__(why)
        self.verdict: Literal["not run", "not comparable"] = verdict
        self.further = further


@dataclass(frozen=True, kw_only=True, slots=True)
class FittingRuns:
    """The tracked runs that fit the protocol of a claim."""

    rows: Mapping[str, tuple[Row, ...]]
    """role in the claim -> rows of its rounds, or its barriers if the claim is about
    barriers; several rows of one round and seed are repetitions"""
    dense: tuple[Row, ...]
    """the dense network, one row per seed"""
    evaluate_every: int
    looks: Looks
    """at which numbers of seeds there may be a verdict, as declared"""
    experiments: tuple[str, ...]
    """those that have all of these rows"""
    common_noise: bool
    """whether all variants of a seed were trained with the same data order"""


def fitting_runs(claim: Claim, book: Book, found: Sequence[Setup]) -> FittingRuns:
    """The runs that fit the protocol of a claim; of several setups, that with most seeds.

    Raises:
        NoAnswerError: ``not run`` if there is no run of this model on this data, or
            none of a variant in the claim; ``not comparable`` if the nearest run has
            other settings.
    """
    protocol = book.protocols[claim.protocol]
    family = [setup for setup in found if is_about(setup.settings, protocol.settings)]
    if not family:
        named = (protocol.settings[n] for n in ("model.name", "data"))
        raise NoAnswerError("not run", "no run of {} on {}".format(*named))
    trials = [_trial(setup, claim, book) for setup in family]
    fitting = [trial for trial in trials if not trial.missing and not trial.differs]
    if fitting:
        best = max(fitting, key=lambda trial: trial.size)
        return FittingRuns(
            rows=best.rows,
            dense=best.setup.dense,
            looks=best.setup.looks,
            experiments=best.experiments,
            evaluate_every=int(best.setup.settings.get("train.evaluate_every", 0)),
            common_noise=best.setup.settings.get("train.common_noise") == "true",
        )
    best = min(trials, key=lambda trial: (len(trial.missing), len(trial.differs)))
    if best.missing:
        raise NoAnswerError("not run", f"no variant {' or '.join(best.missing)}")
    shown = "; ".join(best.differs[:MOST_DIFFERENCES])
    more = len(best.differs) - MOST_DIFFERENCES
    raise NoAnswerError(
        "not comparable",
        shown + (f"; {more} more" if more > 0 else ""),
        further=len(best.differs) - 1,
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class _Trial:
    """One setup tried for one claim: its rows, and why it does not fit."""

    setup: Setup
    rows: Mapping[str, tuple[Row, ...]]
    experiments: tuple[str, ...]
    """those that have all roles; every experiment has the dense network"""
    missing: Sequence[str]
    """roles that no recipe plays"""
    differs: Sequence[str]
    """settings with another value than the protocol's, in words"""

    @property
    def size(self) -> tuple[int, int]:
        """Number of seeds that all roles have, then of steps: the largest is the best."""
        seeds = [{row["seed"] for row in rows} for rows in self.rows.values()]
        steps = [row["steps"] or 0 for row in self.setup.dense]
        return len(set.intersection(*seeds)), max(steps, default=0)


def _trial(setup: Setup, claim: Claim, book: Book) -> _Trial:
    protocol = book.protocols[claim.protocol]
    differs = differences(setup.settings, protocol.settings)
    steps = [row["steps"] for row in setup.dense if row["steps"] is not None]
    if min(steps, default=protocol.min_steps) < protocol.min_steps:
        needed = f"(needed: {protocol.min_steps:,} or more)"
        differs.append(f"steps is {min(steps):,} {needed}")
    rows, missing = {DENSE: _rows_of(setup, claim.check)}, []
    experiments = setup.experiments
    masks = {f"mask.{name}": value for name, value in protocol.masks.items()}
    for role in set(roles(claim.check)) - {DENSE}:
        playing = [r for r in setup.recipes if fits(r.settings, book.variants[role])]
        if not playing:
            missing.append(role)
            continue
        apart = [_apart(r, masks, protocol.recipe) for r in playing]
        fitting = [r for r, reasons in zip(playing, apart, strict=True) if not reasons]
        if not fitting:
            nearest = min(apart, key=len)
            differs += [reason for reason in nearest if reason not in differs]
        chosen = _pooled(fitting or playing, claim.check)
        rows[role] = tuple(row for one in chosen for row in _rows_of(one, claim.check))
        having = {name for one in chosen for name in one.experiments}
        experiments = tuple(name for name in experiments if name in having)
    return _Trial(
        setup=setup,
        rows=rows,
        # Roles of different experiments are compared as well; all of these are named then.
        experiments=experiments or setup.experiments,
        missing=sorted(missing),
        differs=differs,
    )


def _apart(recipe: Recipe, masks: Required, own: Required) -> list[str]:
    """The settings, of its masks and its own, that keep a recipe from a protocol."""
    asked = {name: value for name, value in own.items() if name in recipe.settings}
    return differences(recipe.settings, {**masks, **asked})


def _rows_of(source: Setup | Recipe, check: Check) -> tuple[Row, ...]:
    """Rows of rounds; of a check about barriers, the barriers at its step."""
    if isinstance(check, Barrier):
        return tuple(row for row in source.barriers if row["step"] == check.step)
    return source.dense if isinstance(source, Setup) else source.rows


def _pooled(recipes: Sequence[Recipe], check: Check) -> list[Recipe]:
    """The recipe with most seeds, once for each of its draws.

    A recipe whose rounds end above the densities of the claim comes last: another may be
    pruned in other steps, and reach them. Of recipes with as many seeds, that with most
    rounds is nearest to the sources.
    """
    smallest = min(densities(check))
    groups: dict[frozenset[tuple[str, str]], list[Recipe]] = defaultdict(list)
    for recipe in recipes:
        same = {n: v for n, v in recipe.settings.items() if n != DRAW}
        groups[frozenset(same.items())].append(recipe)

    def fitness(draws: Sequence[Recipe]) -> tuple[bool, int, int]:
        rows = [row for recipe in draws for row in _rows_of(recipe, check)]
        reached = any(row["density"] <= smallest * REACHED for row in rows)
        return reached, len({r["seed"] for r in rows}), len({r["round"] for r in rows})

    best: list[Recipe] = max(groups.values(), key=fitness)
    return best
