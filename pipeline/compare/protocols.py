"""Which tracked runs a claim may be checked against.

Runs are told apart by their recorded settings, never by names: results that share data,
model and training settings form a setup, whatever experiment and task they belong to,
and a recipe decides which variant of a claim its rounds stand for.
"""

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from pipeline.compare.claims import (
    DENSE,
    Barrier,
    Book,
    Check,
    Claim,
    Required,
    Value,
    roles,
)
from pipeline.results.tables import Row
from pipeline.tracking import TrackedStore

Recorded = Mapping[str, str]

SHOWN = 3
"""differences that a reason names"""
SAME = ("round", "step", "seed", "pair", "statistics")
"""what tells the barriers of one recipe apart"""
MIN_POINTS = 10
"""on a line whose barrier counts; fewer may miss its top"""
DRAW = "rewind.draw"
"""runs that differ in this only are repetitions on the same initialization"""


class NoAnswerError(Exception):
    """A claim gets no measured verdict: ``not run`` or ``not comparable``, and why."""

    def __init__(self, verdict: Literal["not run", "not comparable"], why: str) -> None:
        super().__init__(why)
        self.verdict: Literal["not run", "not comparable"] = verdict


@dataclass(frozen=True, kw_only=True, slots=True)
class Recipe:
    """All rounds of one recipe in one setup, from whatever experiments."""

    name: str
    """experiment, task where it has several, and variant, of the first one found"""
    settings: Recorded
    """prune.*, rewind.*, and mask.*: of the recipe that finds the masks"""
    rows: tuple[Row, ...]
    """one per round and seed"""
    barriers: tuple[Row, ...] = ()
    """of instability analyses: one per round, step, seed, pair and kind of statistics"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Setup:
    """Everything trained on the same data, with the same model and settings."""

    settings: Recorded
    recipes: tuple[Recipe, ...]
    barriers: tuple[Row, ...] = ()
    """of the dense network's instability, one per step, seed, pair and statistics"""

    @property
    def dense(self) -> tuple[Row, ...]:
        """Round 0, one row per seed."""
        found = {r["seed"]: r for recipe in self.recipes for r in recipe.rows[::-1]}
        return tuple(row for _, row in sorted(found.items()) if row["round"] == 0)


@dataclass(frozen=True, kw_only=True, slots=True)
class Evidence:
    """What a claim is checked against."""

    rows: Mapping[str, tuple[Row, ...]]
    """role -> its rounds, or its barriers where the claim is about them; several rows of
    one round and seed are repetitions"""
    dense: tuple[Row, ...]
    evaluate_every: int
    common_noise: bool
    """whether the variants of a round saw the same data order"""


def setups(stores: Iterable[TrackedStore]) -> list[Setup]:
    """Group everything tracked by its settings; equal runs are taken once."""
    stores = list(stores)
    names: dict[_Key, str] = {}
    rows: dict[object, dict[tuple[int, int], Row]] = defaultdict(dict)
    for store in stores:
        for (task, variant), settings in store.settings.items():
            key = frozenset(_of_task(settings)), frozenset(recipe_of(settings))
            names.setdefault(key, _name(store, task, variant))
            for row in store.rounds:
                if (row["task"], row["variant"]) == (task, variant):
                    rows[key].setdefault((row["round"], row["seed"]), row)
    barriers = _barriers(stores)
    grouped: dict[frozenset[tuple[str, str]], list[Recipe]] = defaultdict(list)
    for key, name in names.items():
        mine = tuple(row for _, row in sorted(rows[key].items()))
        if mine:
            recipe = Recipe(
                name=name, settings=dict(key[1]), rows=mine, barriers=barriers[key]
            )
            grouped[key[0]].append(recipe)
    return [
        Setup(
            settings=dict(task), recipes=tuple(recipes), barriers=barriers[task, OF_DENSE]
        )
        for task, recipes in grouped.items()
    ]


def _name(store: TrackedStore, task: str, variant: str) -> str:
    several = len({task for task, _ in store.settings}) > 1
    recipe = f"{task}/{variant}" if several else variant
    return f"{store.experiment}: {recipe}"


_Key = tuple[frozenset[tuple[str, str]], frozenset[tuple[str, str]]]
"""settings of data, model and training; those of the recipe"""
OF_DENSE: frozenset[tuple[str, str]] = frozenset()
"""the dense network has no recipe"""


def _barriers(stores: Iterable[TrackedStore]) -> Mapping[_Key, tuple[Row, ...]]:
    """What instability analyses found, by what stands behind it; each pair once."""
    found: dict[_Key, dict[tuple[object, ...], Row]] = defaultdict(dict)
    for store in stores:
        for row in store.barriers:
            settings = store.analyses[row["task"], row["analysis"]]
            fine = int(settings["analysis.points"]) >= MIN_POINTS
            if row["kind"] == "instability" and fine:
                own = {n: v for n, v in settings.items() if not n.startswith("analysis.")}
                recipe = OF_DENSE if row["of"] == DENSE else frozenset(recipe_of(own))
                place = tuple(row[name] for name in SAME)
                found[frozenset(_of_task(own)), recipe].setdefault(place, row)
    known = {
        key: tuple(row for _, row in sorted(rows.items())) for key, rows in found.items()
    }
    return defaultdict(tuple, known)


def evidence(claim: Claim, book: Book, found: Sequence[Setup]) -> Evidence:
    """The runs of the claim's protocol: where several setups fit, the one with most seeds.

    Raises:
        NoAnswerError: ``not run`` without runs of this model on this data, or without
            a variant that the claim is about; ``not comparable`` where the nearest run
            has other settings.
    """
    protocol = book.protocols[claim.protocol]
    family = [setup for setup in found if _is_of(setup, protocol.settings)]
    if not family:
        named = (protocol.settings[n] for n in ("model.name", "data"))
        raise NoAnswerError("not run", "no run of {} on {}".format(*named))
    trials = [_trial(setup, claim, book) for setup in family]
    fitting = [trial for trial in trials if not trial.missing and not trial.differs]
    if fitting:
        best = max(fitting, key=lambda trial: trial.size)
        return Evidence(
            rows=best.rows,
            dense=best.setup.dense,
            evaluate_every=int(best.setup.settings.get("train.evaluate_every", 0)),
            common_noise=best.setup.settings.get("train.common_noise") == "true",
        )
    best = min(trials, key=lambda trial: (len(trial.missing), len(trial.differs)))
    if best.missing:
        raise NoAnswerError("not run", f"no variant {' or '.join(best.missing)}")
    shown = "; ".join(best.differs[:SHOWN])
    more = len(best.differs) - SHOWN
    raise NoAnswerError("not comparable", shown + (f"; {more} more" if more > 0 else ""))


@dataclass(frozen=True, kw_only=True, slots=True)
class _Trial:
    """How well a setup fits a claim."""

    setup: Setup
    rows: Mapping[str, tuple[Row, ...]]
    missing: Sequence[str]
    differs: Sequence[str]

    @property
    def size(self) -> tuple[int, int]:
        """Seeds that all roles have, then steps."""
        seeds = [{row["seed"] for row in rows} for rows in self.rows.values()]
        steps = [row["steps"] or 0 for row in self.setup.dense]
        return len(set.intersection(*seeds)), max(steps, default=0)


def _trial(setup: Setup, claim: Claim, book: Book) -> _Trial:
    protocol = book.protocols[claim.protocol]
    differs = _differences(setup.settings, protocol.settings)
    steps = [row["steps"] for row in setup.dense if row["steps"] is not None]
    if min(steps, default=protocol.min_steps) < protocol.min_steps:
        needed = f"(needed: {protocol.min_steps:,} or more)"
        differs.append(f"steps is {min(steps):,} {needed}")
    rows, missing = {DENSE: _rows_of(setup, claim.check)}, []
    masks = {f"mask.{name}": value for name, value in protocol.masks.items()}
    for role in set(roles(claim.check)) - {DENSE}:
        playing = [r for r in setup.recipes if fits(r.settings, book.variants[role])]
        if not playing:
            missing.append(role)
            continue
        fitting = [r for r in playing if fits(r.settings, masks)]
        if not fitting:
            nearest = min((_differences(r.settings, masks) for r in playing), key=len)
            differs += [reason for reason in nearest if reason not in differs]
        rows[role] = _pooled(fitting or playing, claim.check)
    return _Trial(setup=setup, rows=rows, missing=sorted(missing), differs=differs)


def _rows_of(source: Setup | Recipe, check: Check) -> tuple[Row, ...]:
    """Rounds, or the barriers at the step of the check where it is about them."""
    if isinstance(check, Barrier):
        return tuple(row for row in source.barriers if row["step"] == check.step)
    return source.dense if isinstance(source, Setup) else source.rows


def _pooled(recipes: Sequence[Recipe], check: Check) -> tuple[Row, ...]:
    """The rows of the recipe with most seeds, and of its other draws."""
    groups: dict[frozenset[tuple[str, str]], list[Row]] = defaultdict(list)
    for recipe in recipes:
        same = {n: v for n, v in recipe.settings.items() if n != DRAW}
        groups[frozenset(same.items())] += _rows_of(recipe, check)
    return tuple(max(groups.values(), key=lambda rows: len({r["seed"] for r in rows})))


def _of_task(settings: Recorded) -> Iterable[tuple[str, str]]:
    recipes = ("prune.", "rewind.", "mask_source.")
    return ((n, v) for n, v in settings.items() if not n.startswith(recipes))


def recipe_of(settings: Recorded) -> Iterable[tuple[str, str]]:
    """How a variant finds its masks and what it starts from, by the names of claims."""
    own = not any(name.startswith("mask_source.") for name in settings)
    yield "mask.from", "own" if own else "taken"
    for name, value in settings.items():
        first, _, rest = name.partition(".")
        # The name of the variant whose mask is taken says nothing; its recipe does.
        if first in ("prune", "rewind") and name != "prune.mask":
            yield name, value
        if first == ("prune" if own else "mask_source") and rest != "mask":
            yield f"mask.{rest}", value


def _is_of(setup: Setup, settings: Required) -> bool:
    """Whether it is the claim's network on the claim's data, however trained."""
    needed = {name: settings[name] for name in ("data", "model.name")}
    return fits(setup.settings, needed)


def fits(found: Recorded, needed: Required) -> bool:
    """Whether recorded settings are the needed ones; others may have any value."""
    return not _differences(found, needed)


def _differences(found: Recorded, needed: Required) -> list[str]:
    reasons = []
    for name, value in needed.items():
        allowed = value if isinstance(value, tuple) else (value,)
        recorded = _value(found.get(name))
        if recorded not in allowed:
            wanted = " or ".join(_shown(a) for a in allowed)
            reasons.append(f"{name} is {_shown(recorded)} (needed: {wanted})")
    return reasons


def _value(recorded: str | None) -> Value:
    """A recorded setting as YAML has it; lists stay text."""
    if recorded is None:
        return None
    try:
        value = json.loads(recorded)
    except json.JSONDecodeError:
        return recorded
    return value if isinstance(value, bool | int | float) else recorded


def _shown(value: Value) -> str:
    return "not set" if value is None else str(value)
