"""Read result files into tidy tables: one row per task, variant, round and seed.

Round 0 is the dense network; it belongs to every variant and appears in each. Results
that the plan no longer holds (removed variants, rounds and seeds) do not appear.
"""

import csv
import io
import math
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pipeline.artifacts import contents
from pipeline.artifacts.files import ArtifactError
from pipeline.artifacts.paths import DENSE
from pipeline.results import costs

Active = Mapping[str, Mapping[str, tuple[Collection[int], Collection[int]]]]
"""task -> variant -> (rounds, seeds) of the plan"""

Row = dict[str, Any]

_Key = tuple[str, str, int, int]
"""task, variant, round, seed"""

_OUTCOMES = (
    "early_stop_step",
    "censored",
    "validation_loss",
    "validation_accuracy",
    "test_accuracy_early_stop",
    "test_accuracy",
    "test_loss",
)
COLUMNS = (
    "task",
    "variant",
    "round",
    "seed",
    "density",
    "kept",
    "prunable",
    *_OUTCOMES,
    "steps",
    "diverged",
    "collapsed_layers",
    "multiply_adds",
    "find_multiply_adds",
)
OF_FITS = ("fitted_step", "generalized_step", "delay")
"""columns that stand there where a training was evaluated on its training set"""
SMALLEST = "density_at_dense_accuracy"
MEANS = ("density", "test_accuracy", "early_stop_step")


@dataclass(frozen=True, kw_only=True, slots=True)
class RoundResult:
    """The result of training one seed in one round, read from its files."""

    task: str
    variant: str
    """the variant that the round belongs to, also for the dense network"""
    round: int
    seed: int
    facts: Mapping[str, Any]
    """the entry of this seed in result.json"""
    sizes: Mapping[str, int]
    """prunable weights per layer"""
    settings: Mapping[str, Any]
    """all settings that decide the result, as in params.yaml"""
    engine: str
    folder: Path
    """holds result.json and curves.parquet"""
    before: tuple["RoundResult", ...] | None = None
    """the trainings that had to happen before this one, for its mask and its start;
    None where one of them has no result"""


def round_results(root: Path, active: Active) -> list[RoundResult]:
    """Read all results of the plan that exist.

    Args:
        root: the folder with ``artifacts``.
        active: tasks, variants, rounds and seeds of the plan.

    Returns:
        Ordered by task and variant as in the plan, then by seed and round.

    Raises:
        ArtifactError: a result is unreadable, or two folders hold the same training
                with other numbers.
    """
    found: dict[_Key, tuple[Path, dict[str, Any]]] = {}
    for folder, result in contents.results(root):
        for seed in result["seeds"]:
            key = (result["task"], result["variant"], result["round"], int(seed))
            before = found.get(key, (folder, result))[1]["seeds"][seed]
            if before != result["seeds"][seed] and _is_active(key, active):
                raise ArtifactError(
                    f"{folder} and {found[key][0]} both hold seed {seed} "
                    "with other numbers; `lt-pipeline run` deletes what the plan no longer "
                    "has"
                )
            found.setdefault(key, (folder, result))  # groups may overlap
    known = {key: _round_result(*found[key], seed=key[-1]) for key in found}
    return [
        replace(known[key], variant=variant, before=_before(known, key))
        for task, variants in active.items()
        for variant, (rounds, seeds) in variants.items()
        for seed in sorted(seeds)
        for number in sorted({0, *rounds})
        if (key := (task, variant if number else DENSE, number, seed)) in known
    ]


def rows(results: Iterable[RoundResult]) -> list[Row]:
    """One row per result with the names of ``COLUMNS``; None where a value is unknown."""
    return [_row(result) for result in results]


def rounds_csv(rows: Sequence[Row]) -> str:
    """The rows as CSV: numbers in full, an empty cell for None, ``true`` and ``false``."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    columns = [*COLUMNS, *(n for n in OF_FITS if any(n in row for row in rows))]
    writer.writerow(columns)
    writer.writerows([_cell(row.get(name)) for name in columns] for row in rows)
    return text.getvalue()


def summary(rows: Sequence[Row]) -> dict[str, Any]:
    """A few numbers for ``dvc metrics show``: task -> dense and variants -> numbers.

    The numbers are means over seeds, of the dense network and of each variant's last
    round. Seeds that diverged are left out and counted in ``diverged``, which is there
    if any did; a seed without a value is left out of that mean alone.
    ``density_at_dense_accuracy`` is the smallest density at which a variant's mean test
    accuracy is at least the dense network's, or None; both means are of the seeds with
    which neither diverged. It compares means and tests nothing.
    """
    groups: dict[tuple[str, str, int], dict[int, Row]] = defaultdict(dict)
    for row in rows:
        variant = row["variant"] if row["round"] else DENSE
        groups[row["task"], variant, row["round"]][row["seed"]] = row
    tree: dict[str, Any] = {}
    dense_first = sorted(groups.items(), key=lambda one: (one[0][1] != DENSE, one[0]))
    for (task, variant, _), seeds in dense_first:
        leaf = _means(list(seeds.values()))
        known = tree.setdefault(task, {})
        dense = groups.get((task, DENSE, 0), {})
        if variant == DENSE:
            del leaf["density"]
        elif dense:
            reached = [known.get(variant, {}).get(SMALLEST)]
            reached += [leaf["density"]] if _reaches(seeds, dense) else []
            leaf[SMALLEST] = min((one for one in reached if one is not None), default=None)
        known[variant] = leaf
    return tree


def _reaches(seeds: Mapping[int, Row], dense: Mapping[int, Row]) -> bool:
    """Whether the mean accuracy of a round is at least the dense one, of the same seeds."""
    pairs = [
        (row["test_accuracy"], dense[seed]["test_accuracy"])
        for seed, row in seeds.items()
        if seed in dense and not (row["diverged"] or dense[seed]["diverged"])
    ]
    known = [pair for pair in pairs if None not in pair]
    reached, wanted = (math.fsum(pair[side] for pair in known) for side in (0, 1))
    return bool(known) and reached >= wanted


def _is_active(key: _Key, active: Active) -> bool:
    task, variant, number, seed = key
    variants = active.get(task, {})
    names = variants if variant == DENSE else {variant} & set(variants)
    return any(
        seed in seeds and (number == 0 or number in rounds)
        for rounds, seeds in (variants[name] for name in names)
    )


def _before(known: Mapping[_Key, RoundResult], key: _Key) -> tuple[RoundResult, ...] | None:
    task, variant, number, seed = key

    def settings_of(training: costs.Training) -> costs.Recorded | None:
        result = known.get((task, *training, seed))
        return result.settings if result else None

    found = costs.before((variant, number), settings_of)
    return None if found is None else tuple(known[task, *one, seed] for one in found)


def _round_result(folder: Path, result: Mapping[str, Any], *, seed: int) -> RoundResult:
    return RoundResult(
        task=result["task"],
        variant=result["variant"],
        round=result["round"],
        seed=seed,
        facts=result["seeds"][str(seed)],
        sizes={name: result["sizes"][name] for name in _kept(result, seed)},
        settings=result["settings"],
        engine=result["engine"],
        folder=folder,
    )


def _kept(result: Mapping[str, Any], seed: int) -> Mapping[str, int]:
    kept: Mapping[str, int] = result["seeds"][str(seed)]["kept"]
    return kept


def multiply_adds(result: RoundResult) -> int:
    """Multiply-adds of the training itself, see ``costs.multiply_adds``."""
    return costs.multiply_adds(result.settings, result.facts)


def cost_before(result: RoundResult, cost: Callable[[RoundResult], float]) -> float | None:
    """The cost of all trainings that had to happen before; None where unknown.

    Args:
        result: of a round.
        cost: of one training.
    """
    return None if result.before is None else sum(cost(one) for one in result.before)


def percent(density: float) -> str:
    """A density in percent, rounded as the paper prints it.

    >>> percent(1.0), percent(0.51281), percent(0.0345), percent(0.00721)
    ('100', '51.3', '3.5', '0.72')
    """
    share = 100 * density
    if share >= 99.95:
        return "100"
    return f"{share:.1f}" if share >= 1 else f"{share:.2g}"


def _row(result: RoundResult) -> Row:
    known = {
        "task": result.task,
        "variant": result.variant,
        "round": result.round,
        "seed": result.seed,
        "kept": sum(result.facts["kept"].values()),
        "prunable": sum(result.sizes.values()),
        "collapsed_layers": _collapsed_layers(result.facts),
        "multiply_adds": multiply_adds(result),
        "find_multiply_adds": cost_before(result, multiply_adds),
    }
    row = {n: known.get(n, result.facts.get(n)) for n in COLUMNS}
    return if_sound(row | {n: result.facts[n] for n in OF_FITS if n in result.facts})


def if_sound(row: Row) -> Row:
    """The row, without its outcomes if the training diverged.

    Weights that are no numbers still give answers, such as the first class for every
    image, and those have an accuracy that means nothing.
    """
    gone = (*_OUTCOMES, *OF_FITS) if row["diverged"] else ()
    return {name: None if name in gone else value for name, value in row.items()}


def _collapsed_layers(facts: Mapping[str, Any]) -> int | None:
    """The number of layers without a connected weight; None in results that say nothing."""
    return len(facts["collapsed"]) if "collapsed" in facts else None


def _cell(value: object) -> object:
    if isinstance(value, bool):
        return str(value).lower()
    return repr(value) if isinstance(value, float) else value


def _means(rows: Sequence[Row]) -> Row:
    known = [row for row in rows if not row["diverged"]]
    leaf: Row = {}
    for name in MEANS:
        values = [row[name] for row in known if row[name] is not None]
        leaf[name] = float(f"{sum(values) / len(values):.6g}") if values else None
    if len(known) < len(rows):
        leaf["diverged"] = len(rows) - len(known)
    return leaf
