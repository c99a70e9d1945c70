"""Group tracked runs into setups: everything trained on the same data in the same way.

Runs are told apart by their recorded settings, never by names. Results with the same
data, model and training settings form one setup, whatever experiment and task they
belong to. Inside of a setup, the settings of a recipe identify a variant.
"""

import json
from collections import ChainMap, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from pipeline.compare.claims import ABOUT, DENSE, Protocol, Required, Value
from pipeline.core.looks import Looks
from pipeline.results.tables import Row
from pipeline.tracking import TrackedStore

Recorded = Mapping[str, str]
"""settings as the store holds them: dotted name -> text"""

BARRIER_KEY = ("round", "step", "seed", "pair", "statistics")
"""columns that tell the barriers of one recipe apart"""
MIN_POINTS = 10
"""a line with fewer points may miss its highest error, so that its barrier is ignored"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Recipe:
    """All rounds of one recipe in one setup, from any number of experiments."""

    name: str
    """where it was found first: experiment, task (if it has several) and variant"""
    settings: Recorded
    """``prune.*``, ``rewind.*``, and ``mask.*``: the settings that find the masks"""
    rows: tuple[Row, ...]
    """one per round and seed; of what several experiments have, the first"""
    runs: Mapping[str, tuple[Row, ...]]
    """experiment -> its rows; all experiments with this recipe"""
    barriers: tuple[Row, ...] = ()
    """of instability analyses: one per round, step, seed, pair and kind of statistics"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Setup:
    """All results with the same data, model and training settings."""

    settings: Recorded
    recipes: tuple[Recipe, ...]
    dense: tuple[Row, ...]
    """the dense network: round 0, one row per seed"""
    dense_in: Mapping[str, tuple[Row, ...]]
    """experiment -> its dense networks"""
    looks: Mapping[str, Looks]
    """experiment -> what it declared; all where the results come from"""
    barriers: tuple[Row, ...] = ()
    """of instability analyses of the dense network: one per step, seed, pair and kind of
    statistics"""


def setups(stores: Iterable[TrackedStore]) -> list[Setup]:
    """Group all results of the stores by their settings."""
    stores = list(stores)
    names: dict[_Key, str] = {}
    behind: dict[frozenset[tuple[str, str]], dict[str, Looks]] = defaultdict(dict)
    runs: dict[_Key, dict[str, dict[tuple[int, int], Row]]] = defaultdict(dict)
    for store in stores:
        for (task, variant), settings in store.settings.items():
            key = frozenset(_of_task(settings)), frozenset(recipe_of(settings))
            behind[key[0]].setdefault(store.experiment, store.looks)
            names.setdefault(key, _name(store, task, variant))
            mine = runs[key].setdefault(store.experiment, {})
            for row in store.rounds:
                if (row["task"], row["variant"]) == (task, variant):
                    mine.setdefault((row["round"], row["seed"]), row)
    barriers = _barriers(stores)
    grouped: dict[frozenset[tuple[str, str]], list[Recipe]] = defaultdict(list)
    for key, name in names.items():
        recipe = Recipe(
            name=name,
            settings=dict(key[1]),
            rows=_first(runs[key].values()),
            runs={experiment: _first([rows]) for experiment, rows in runs[key].items()},
            barriers=barriers[key],
        )
        if recipe.rows:
            grouped[key[0]].append(recipe)
    return [
        Setup(
            settings=dict(task),
            recipes=tuple(recipes),
            dense=_dense(recipe.rows for recipe in recipes),
            dense_in={
                name: _dense(recipe.runs.get(name, ()) for recipe in recipes)
                for name in behind[task]
            },
            looks=behind[task],
            barriers=barriers[task, OF_DENSE],
        )
        for task, recipes in grouped.items()
    ]


def _first(found: Iterable[Mapping[tuple[int, int], Row]]) -> tuple[Row, ...]:
    """Rows by round and seed, the first of each."""
    rows = ChainMap(*map(dict, found))
    return tuple(rows[place] for place in sorted(rows))


def _dense(recipes: Iterable[Sequence[Row]]) -> tuple[Row, ...]:
    """The first dense network of each seed."""
    found: dict[int, Row] = {}
    for rows in recipes:
        for row in rows:
            if row["round"] == 0:
                found.setdefault(row["seed"], row)
    return tuple(row for _, row in sorted(found.items()))


def length_of(rows: Iterable[Row]) -> int | None:
    """The least number of steps of trainings that reached their end.

    A training that diverged stopped early: its steps say nothing about the settings.

    Returns:
        None where none reached its end.
    """
    steps = (row["steps"] for row in rows if not row["diverged"])
    return min((number for number in steps if number is not None), default=None)


def common(declared: Iterable[Looks]) -> Looks:
    """The looks of pooled experiments. Where they differ, nobody declared a common rule."""
    found = set(declared)
    return found.pop() if len(found) == 1 else Looks(at=())


def _name(store: TrackedStore, task: str, variant: str) -> str:
    several = len({task for task, _ in store.settings}) > 1
    recipe = f"{task}/{variant}" if several else variant
    return f"{store.experiment}: {recipe}"


_Key = tuple[frozenset[tuple[str, str]], frozenset[tuple[str, str]]]
"""settings of data, model and training; those of the recipe"""
OF_DENSE: frozenset[tuple[str, str]] = frozenset()
"""the dense network has no recipe"""


def _barriers(stores: Iterable[TrackedStore]) -> Mapping[_Key, tuple[Row, ...]]:
    """Settings -> barriers of instability analyses, each pair once."""
    found: dict[_Key, dict[tuple[object, ...], Row]] = defaultdict(dict)
    for store in stores:
        for row in store.barriers:
            settings = store.analyses[row["task"], row["analysis"]]
            enough = int(settings["analysis.points"]) >= MIN_POINTS
            if row["kind"] == "instability" and enough:
                own = {n: v for n, v in settings.items() if not n.startswith("analysis.")}
                recipe = OF_DENSE if row["of"] == DENSE else frozenset(recipe_of(own))
                key = tuple(row[name] for name in BARRIER_KEY)
                found[frozenset(_of_task(own)), recipe].setdefault(key, row)
    known = {
        key: tuple(row for _, row in sorted(rows.items())) for key, rows in found.items()
    }
    return defaultdict(tuple, known)


def _of_task(settings: Recorded) -> Iterable[tuple[str, str]]:
    recipes = ("prune.", "rewind.", "mask_source.")
    return ((n, v) for n, v in settings.items() if not n.startswith(recipes))


def recipe_of(settings: Recorded) -> Iterable[tuple[str, str]]:
    """The settings of a variant's masks and starts, with the names that claims use."""
    own = not any(name.startswith("mask_source.") for name in settings)
    elsewhere = {
        "prune.mask.file": "file",
        "prune.mask.task": "other task",
        "prune.pool.begins_with": "pool",
    }
    taken = next((word for name, word in elsewhere.items() if name in settings), "taken")
    yield "mask.from", "own" if own else taken
    for name, value in settings.items():
        first, _, rest = name.partition(".")
        # A variant is known by its recipe: the name of the mask's owner does not matter.
        if first in ("prune", "rewind") and name != "prune.mask":
            yield name, value
        if first == ("prune" if own else "mask_source") and rest != "mask":
            yield f"mask.{rest}", value


def fits(found: Recorded, needed: Required) -> bool:
    """Whether recorded settings have the needed values; other settings do not matter."""
    return not differences(found, needed)


def is_about(found: Recorded, needed: Required) -> bool:
    """Whether results have the model and data of a protocol, whatever their training."""
    return fits(found, {name: needed[name] for name in ABOUT})


def differences(found: Recorded, needed: Required) -> list[str]:
    """One phrase per needed setting that was recorded with another value."""
    reasons = []
    for name, value in needed.items():
        allowed = value if isinstance(value, tuple) else (value,)
        recorded = _value(found.get(name))
        if recorded not in allowed:
            wanted = " or ".join(_shown(a) for a in allowed)
            reasons.append(f"{name} is {_shown(recorded)} (needed: {wanted})")
    return reasons


def misfits(recipe: Recorded, protocol: Protocol) -> list[str]:
    """How a recipe differs from a protocol, in its own settings and its masks' ones."""
    masks = {f"mask.{name}": value for name, value in protocol.masks.items()}
    own = {name: value for name, value in protocol.recipe.items() if name in recipe}
    return differences(recipe, {**masks, **own})


def _value(recorded: str | None) -> Value:
    """A recorded setting as a YAML value; lists stay text."""
    if recorded is None:
        return None
    try:
        value = json.loads(recorded)
    except json.JSONDecodeError:
        return recorded
    return value if isinstance(value, bool | int | float) else recorded


def _shown(value: Value) -> str:
    return "not set" if value is None else str(value)
