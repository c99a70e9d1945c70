"""Result files -> tidy tables: one row per task, variant, round and seed.

Round 0, the dense network, belongs to every variant and is repeated in each. Only what
the plan holds is read: folders of removed variants, rounds and seeds do not appear.
"""

import csv
import io
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pipeline.artifacts import files
from pipeline.artifacts.files import ArtifactError
from pipeline.artifacts.paths import DENSE
from pipeline.results import costs

Active = Mapping[str, Mapping[str, tuple[Collection[int], Collection[int]]]]
"""task -> variant -> (rounds, seeds): what the plan holds now"""

Row = dict[str, Any]

_Key = tuple[str, str, int, int]
"""task, variant, round, seed"""

COLUMNS = (
    "task",
    "variant",
    "round",
    "seed",
    "density",
    "kept",
    "prunable",
    "early_stop_step",
    "censored",
    "validation_loss",
    "validation_accuracy",
    "test_accuracy_early_stop",
    "test_accuracy",
    "test_loss",
    "steps",
    "diverged",
    "multiply_adds",
    "find_multiply_adds",
)
MEANS = ("density", "test_accuracy", "early_stop_step")


@dataclass(frozen=True, kw_only=True, slots=True)
class Record:
    """What the training of one seed in one round reached, as its files say."""

    task: str
    variant: str
    """the variant it is a round of, also for the dense network"""
    round: int
    seed: int
    facts: Mapping[str, Any]
    """of this seed in result.json"""
    sizes: Mapping[str, int]
    """prunable weights per layer"""
    settings: Mapping[str, Any]
    """everything behind the result, as in params.yaml"""
    engine: str
    folder: Path
    """where result.json and curves.parquet lie"""
    before: tuple["Record", ...] | None = None
    """the trainings that its mask and its start took; None where one has no result"""


def records(root: Path, active: Active) -> list[Record]:
    """Read the results that the plan holds and that exist.

    Args:
        root: the folder with ``artifacts``.
        active: tasks, variants, rounds and seeds of the plan.

    Returns:
        Ordered as the plan's tasks and variants, then by seed and round.

    Raises:
        ArtifactError: a result is unreadable, or two folders hold the same training.
    """
    found: dict[_Key, tuple[Path, dict[str, Any]]] = {}
    for folder, result in files.results(root):
        for seed in result["seeds"]:
            key = (result["task"], result["variant"], result["round"], int(seed))
            if key in found and _is_active(key, active):
                raise ArtifactError(
                    f"{folder} and {found[key][0]} both hold seed {seed}; "
                    "delete the older one and run `dvc repro`"
                )
            found[key] = folder, result
    known = {key: _record(*found[key], seed=key[-1]) for key in found}
    return [
        replace(known[key], variant=variant, before=_before(known, key))
        for task, variants in active.items()
        for variant, (rounds, seeds) in variants.items()
        for seed in sorted(seeds)
        for number in sorted({0, *rounds})
        if (key := (task, variant if number else DENSE, number, seed)) in known
    ]


def rows(records: Iterable[Record]) -> list[Row]:
    """One row per record with the names of ``COLUMNS``; None where nothing is known."""
    return [_row(record) for record in records]


def rounds_csv(rows: Sequence[Row]) -> str:
    """The rows as CSV text: numbers in full, nothing for None, true and false."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows([_cell(row[name]) for name in COLUMNS] for row in rows)
    return text.getvalue()


def summary(rows: Sequence[Row]) -> dict[str, Any]:
    """Few numbers for ``dvc metrics show``: task -> dense, and every variant.

    Of the dense network and of each variant's last round: means over the seeds that did
    not diverge (those that did are counted in ``diverged``). Of a variant also the
    smallest density whose mean test accuracy is at least the dense network's; None where
    there is none. It is a reading of means, not a test.
    """
    groups: dict[tuple[str, str, int], dict[int, Row]] = defaultdict(dict)
    for row in rows:
        variant = row["variant"] if row["round"] else DENSE
        groups[row["task"], variant, row["round"]][row["seed"]] = row
    tree: dict[str, Any] = {}
    for (task, variant, _), seeds in sorted(groups.items()):
        leaf = _means(list(seeds.values()))
        known = tree.setdefault(task, {})
        if variant == DENSE:
            del leaf["density"]
        known[variant] = leaf | _smallest(known.get(variant), leaf, known.get(DENSE))
    return tree


def _smallest(before: Row | None, leaf: Row, dense: Row | None) -> Row:
    """The smallest density at the dense accuracy so far; rounds come in order."""
    if dense is None or "density" not in leaf:
        return {}
    found = before["density_at_dense_accuracy"] if before else None
    reached, wanted = leaf["test_accuracy"], dense["test_accuracy"]
    if reached is not None and wanted is not None and reached >= wanted:
        found = leaf["density"]
    return {"density_at_dense_accuracy": found}


def _is_active(key: _Key, active: Active) -> bool:
    task, variant, number, seed = key
    variants = active.get(task, {})
    names = variants if variant == DENSE else {variant} & set(variants)
    return any(
        seed in seeds and (number == 0 or number in rounds)
        for rounds, seeds in (variants[name] for name in names)
    )


def _before(known: Mapping[_Key, Record], key: _Key) -> tuple[Record, ...] | None:
    task, variant, number, seed = key

    def settings_of(training: costs.Training) -> costs.Settings | None:
        record = known.get((task, *training, seed))
        return record.settings if record else None

    found = costs.before((variant, number), settings_of)
    return None if found is None else tuple(known[task, *one, seed] for one in found)


def _record(folder: Path, result: Mapping[str, Any], *, seed: int) -> Record:
    return Record(
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


def multiply_adds(record: Record) -> int:
    """Of the record's own training, see ``costs.multiply_adds``."""
    return costs.multiply_adds(record.settings, record.facts)


def found_with(record: Record, cost: Callable[[Record], float]) -> float | None:
    """The cost of all that had to be trained before the record; None where unknown."""
    return None if record.before is None else sum(cost(one) for one in record.before)


def _row(record: Record) -> Row:
    known = {
        "task": record.task,
        "variant": record.variant,
        "round": record.round,
        "seed": record.seed,
        "kept": sum(record.facts["kept"].values()),
        "prunable": sum(record.sizes.values()),
        "multiply_adds": multiply_adds(record),
        "find_multiply_adds": found_with(record, multiply_adds),
    }
    return {n: known.get(n, record.facts.get(n)) for n in COLUMNS}


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
