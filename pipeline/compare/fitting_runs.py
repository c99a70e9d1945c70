"""Choose the tracked runs that a claim is checked against."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product

from pipeline.compare.claims import (
    DENSE,
    Barrier,
    Book,
    Check,
    Claim,
    roles,
)
from pipeline.compare.densities import Round, rounds_of
from pipeline.compare.failures import Rule
from pipeline.compare.no_answer import NO_DENSE, NoAnswerError
from pipeline.compare.setups import (
    Recipe,
    Setup,
    common,
    differences,
    fits,
    is_about,
    length_of,
    misfits,
)
from pipeline.core.looks import Looks
from pipeline.results.tables import Row

MOST_DIFFERENCES = 3
"""how many differences a reason names"""
DRAW = "rewind.draw"
"""runs that differ in this setting only are repetitions from the same initialization"""
RESULTS = ("round", "seed", "test_accuracy", "early_stop_step")
"""columns by which the runs of two experiments are told apart"""


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
    """those that the rows come from, or each of several that have all of them"""
    common_noise: bool
    """whether all variants of a seed were trained with the same data order"""
    failures: Rule
    """how failed runs are told from others"""


def fitting_runs(claim: Claim, book: Book, found: Sequence[Setup]) -> FittingRuns:
    """The runs that fit the protocol of a claim; of several, those with most seeds.

    Raises:
        NoAnswerError: ``not run`` if there is no run of this model on this data, none of
            a variant in the claim, or none of the dense network in it;
            ``not comparable`` if the nearest run has other settings.
    """
    protocol = book.protocols[claim.protocol]
    family = [setup for setup in found if is_about(setup.settings, protocol.settings)]
    if not family:
        named = (protocol.settings[n] for n in ("model.name", "data"))
        raise NoAnswerError("not run", "no run of {} on {}".format(*named))
    trials = [_trial(setup, claim, book) for setup in family]
    fitting = [trial for trial in trials if not trial.missing and not trial.differs]
    if fitting:
        casts = ((cast, trial.setup) for trial in fitting for cast in _casts(trial, claim))
        cast, setup = max(casts, key=_fitness)
        if DENSE in roles(claim.check) and not cast.dense:
            raise NoAnswerError("not run", NO_DENSE)
        looks = common(setup.looks[name] for name in cast.experiments)
        return FittingRuns(
            rows=cast.rows,
            dense=cast.dense,
            looks=looks,
            failures=Rule(looks=looks, apart=protocol.failures_apart),
            experiments=cast.experiments,
            evaluate_every=int(setup.settings.get("train.evaluate_every", 0)),
            common_noise=setup.settings.get("train.common_noise") == "true",
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
class _Cast:
    """Who plays the roles of a claim."""

    rows: Mapping[str, tuple[Row, ...]]
    dense: tuple[Row, ...]
    experiments: tuple[str, ...]
    rounds: Sequence[Round]
    """that the claim is about; none if one of them is missing"""
    num_seeds: int
    """seeds that all roles have"""
    together: bool
    """whether all rows are of one experiment, so that pairs of a seed are real pairs"""


@dataclass(frozen=True, kw_only=True, slots=True)
class _Trial:
    """One setup tried for one claim: its rows, and why it does not fit."""

    setup: Setup
    playing: Mapping[str, Sequence[Sequence[Recipe]]]
    """role -> the recipes that play it, each with its draws"""
    missing: Sequence[str]
    """roles that no recipe plays"""
    differs: Sequence[str]
    """settings with another value than the protocol's, in words"""


def _trial(setup: Setup, claim: Claim, book: Book) -> _Trial:
    protocol = book.protocols[claim.protocol]
    differs = differences(setup.settings, protocol.settings)
    steps = length_of(setup.dense)
    if steps is not None and steps < protocol.min_steps:
        needed = f"(needed: {protocol.min_steps:,} or more)"
        differs.append(f"steps is {steps:,} {needed}")
    missing, playing = [], {}
    for role in roles(claim.check):
        if role == DENSE:
            continue
        found = [r for r in setup.recipes if fits(r.settings, book.variants[role])]
        if not found:
            missing.append(role)
            continue
        reasons = [misfits(r.settings, protocol) for r in found]
        fitting = [r for r, why in zip(found, reasons, strict=True) if not why]
        if not fitting:
            nearest = min(reasons, key=len)
            differs += [reason for reason in nearest if reason not in differs]
        playing[role] = _draws(fitting or found)
    return _Trial(
        setup=setup,
        playing=playing,
        missing=sorted(missing),
        differs=differs,
    )


def _draws(recipes: Sequence[Recipe]) -> list[list[Recipe]]:
    """The recipes, each with its draws."""
    groups: dict[frozenset[tuple[str, str]], list[Recipe]] = defaultdict(list)
    for recipe in recipes:
        same = {n: v for n, v in recipe.settings.items() if n != DRAW}
        groups[frozenset(same.items())].append(recipe)
    return list(groups.values())


def _fitness(found: tuple[_Cast, Setup]) -> tuple[bool, int, int, int, bool, int]:
    """The greatest is the best: that answers; then seeds, steps, and draws.

    Of equal ones, one experiment has real pairs; of these, that with most rounds is nearest
    to the sources.
    """
    cast, setup = found
    steps = max((row["steps"] or 0 for row in setup.dense), default=0)
    num_rows = sum(len(one.rows) + len(one.against) for one in cast.rounds)
    every = sum(map(len, cast.rows.values()))
    return bool(cast.rounds), cast.num_seeds, steps, num_rows, cast.together, every


def _casts(trial: _Trial, claim: Claim) -> Iterator[_Cast]:
    """Choose one recipe per role, in every way; then take the rows of all experiments.

    Once more take those of each experiment that has all of these recipes.
    """
    setup, check = trial.setup, claim.check
    for chosen in product(*trial.playing.values()):
        mine = dict(zip(trial.playing, chosen, strict=True))
        named = {role: _names(recipes) for role, recipes in mine.items()}
        several = [name for names in named.values() for name in names] or list(setup.looks)
        pooled = {
            role: tuple(row for one in recipes for row in _rows_of(one, check))
            for role, recipes in mine.items()
        }
        dense = _rows_of(setup, check)
        yield _cast(check, {DENSE: dense, **pooled}, setup.dense, several, together=False)
        if isinstance(check, Barrier):
            continue  # barriers of experiments are kept as one
        having_all = [n for n in several if all(n in names for names in named.values())]
        for rows, same in _by_experiment(setup, mine, dict.fromkeys(having_all)):
            yield _cast(check, rows, rows[DENSE], same, together=True)


def _rows_of(source: Setup | Recipe, check: Check) -> tuple[Row, ...]:
    """Rows of rounds; of a check about barriers, the barriers at its step."""
    if isinstance(check, Barrier):
        return tuple(row for row in source.barriers if row["step"] == check.step)
    return source.dense if isinstance(source, Setup) else source.rows


def _names(recipes: Sequence[Recipe]) -> list[str]:
    return [name for recipe in recipes for name in recipe.runs]


def _by_experiment(
    setup: Setup, mine: Mapping[str, Sequence[Recipe]], experiments: Iterable[str]
) -> Iterator[tuple[Mapping[str, tuple[Row, ...]], list[str]]]:
    """The rows of each experiment; equal ones once, with all experiments that have them."""
    known: dict[object, Mapping[str, tuple[Row, ...]]] = {}
    named: dict[object, list[str]] = defaultdict(list)
    for name in experiments:
        rows = {DENSE: setup.dense_in[name]} | {
            role: tuple(row for one in recipes for row in one.runs.get(name, ()))
            for role, recipes in mine.items()
        }
        results = tuple(
            (role, *(row.get(column) for column in RESULTS))
            for role in rows
            for row in rows[role]
        )
        known.setdefault(results, rows)
        named[results].append(name)
    for same, experiments_alike in named.items():
        yield known[same], experiments_alike


def _cast(
    check: Check,
    rows: Mapping[str, tuple[Row, ...]],
    dense: tuple[Row, ...],
    experiments: Iterable[str],
    *,
    together: bool,
) -> _Cast:
    playing = {role: rows[role] for role in roles(check)}
    seeds = [{row["seed"] for row in found} for found in playing.values()]
    return _Cast(
        rows=playing,
        dense=dense,
        experiments=tuple(dict.fromkeys(experiments)),
        rounds=_rounds(check, playing),
        num_seeds=len(set.intersection(*seeds)),
        together=together,
    )


def _rounds(check: Check, rows: Mapping[str, Sequence[Row]]) -> list[Round]:
    """The rounds that a check is about; none if one is missing."""
    try:
        return rounds_of(check, rows)
    except NoAnswerError:
        return []
