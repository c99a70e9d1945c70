"""Make the tables of an experiment's section of the results page."""

from collections.abc import Iterable, Iterator, Mapping, Sequence

from pipeline.compare import Compared
from pipeline.plots.spread import Spread, by_round, one_dense, pruned_variants, spread
from pipeline.results.tables import Row, percent
from pipeline.tracking import TrackedStore

ACCURACY, DELAY = "test_accuracy", "delay"
UNDECIDED = "not enough seeds"
COLUMNS = 6
"""largest number of rounds in a table"""
NEAR = 0.1
"""relative difference of densities from which a cell says its own"""


def trainings(rows: Iterable[Row]) -> list[Row]:
    """The rows of a store, each training once: dense networks stand in every variant.

    Variants of other settings have other dense networks, with other numbers.
    """
    found: dict[tuple[object, ...], Row] = {}
    for row in rows:
        anywhere = {name: value for name, value in row.items() if name != "variant"}
        identity = (row["variant"] if row["round"] else "", *anywhere.items())
        found.setdefault(identity, row)
    return list(found.values())


def tables(store: TrackedStore) -> Iterator[str]:
    """Task by task the accuracy of every variant at up to six densities, and its delays.

    Variants that several tasks have follow side by side.
    """
    tasks = list(dict.fromkeys(row["task"] for row in store.rounds))
    for task in tasks:
        rows = [row for row in store.rounds if row["task"] == task]
        named = f" of `{task}`" if len(tasks) > 1 else ""
        yield f"Test accuracy{named} (%) with these shares of the weights, {_seeds(rows)}:"
        yield ""
        yield from _table(rows, ACCURACY)
        yield ""
        if any(row.get(DELAY) is not None for row in rows):
            yield (
                f"Delay{named}, the step of 99 % validation accuracy over that of 99 % "
                "training accuracy, of the seeds that get there:"
            )
            yield ""
            yield from _table(
                [row | {"censored": row[DELAY] is None} for row in rows], DELAY
            )
            yield ""
    yield from _side_by_side(store, tasks)


def shared(store: TrackedStore) -> list[str]:
    """The pruned variants that several tasks have, in the order of figures."""
    where: dict[str, set[str]] = {}
    for row in store.rounds:
        if row["round"]:
            where.setdefault(row["variant"], set()).add(row["task"])
    return [name for name in pruned_variants(store.rounds) if len(where[name]) > 1]


def _side_by_side(store: TrackedStore, tasks: Sequence[str]) -> Iterator[str]:
    """The last round of variants that several tasks have, a column per task."""
    names = shared(store)
    if not names:
        return
    last = max(row["round"] for row in store.rounds)
    yield f"Round {last} side by side, with the weights remaining:"
    yield ""
    yield f"| | {' | '.join(f'`{task}`' for task in tasks)} |"
    yield f"|---|{'--:|' * len(tasks)}"
    for name in names:
        cells = []
        for task in tasks:
            at = {"task": task, "variant": name, "round": last}
            rows = [row for row in store.rounds if at.items() <= row.items()]
            cells.append(_cell(spread(rows, ACCURACY), ACCURACY, 1.0) if rows else "")
        yield f"| `{name}` | {' | '.join(cells)} |"
    yield ""


def _seeds(rows: Sequence[Row]) -> str:
    """What a cell shows, and how many seeds the cells have."""
    seeds: dict[tuple[str, int], set[int]] = {}
    for row in rows:
        seeds.setdefault((row["variant"], row["round"]), set()).add(row["seed"])
    least, most = (pick(map(len, seeds.values())) for pick in (min, max))
    if most == 1:
        return "one seed"
    number = f"{most}" if least == most else f"{least}–{most}"
    return f"mean (least–greatest) of {number} seeds"


def _table(rows: Sequence[Row], metric: str) -> Iterator[str]:
    lines = {
        name: {n: p for n, p in by_round(rows, name, metric).items() if n}
        for name in pruned_variants(rows)
    }
    chosen = _chosen(sorted({number for line in lines.values() for number in line}))
    densities = {number: _density(lines, number) for number in chosen}
    dense = one_dense(rows, metric)
    reached = f"dense: {_cell(spread(dense, metric), metric, 1.0)}" if dense else ""
    heads = [f"{percent(density)} %" for density in densities.values()]
    yield f"| {' | '.join([reached, *heads])} |"
    yield f"|---|{'--:|' * len(heads)}"
    for name, line in lines.items():
        cells = [
            _cell(line[number], metric, density) if number in line else ""
            for number, density in densities.items()
        ]
        yield f"| `{name}` | {' | '.join(cells)} |"


def winning(
    rows: Sequence[Compared], store: TrackedStore, stores: Sequence[TrackedStore]
) -> Iterator[str]:
    """The smallest winning ticket of every variant; those without one in a line.

    Args:
        rows: on the definition of a winning ticket, in which the experiment has a part.
        store: the experiment.
        stores: all that the rows come from.
    """
    names = {_name_in(store, row, stores): row for row in rows}
    known = {
        name: row
        for name, row in names.items()
        if row.measured is not None or row.verdict != UNDECIDED
    }
    if known:
        yield "| ticket | smallest winning density | seeds | verdict |"
        yield "|---|--:|--:|---|"
    for name, row in known.items():
        density = f"{percent(row.measured)} %" if row.measured else "–"
        yield f"| `{name}` | {density} | {row.seeds} | {row.verdict}: {row.note} |"
    if others := ", ".join(f"`{name}`" for name in names if name not in known):
        yield ""
        yield f"Not shown to win at any density, nor to lose at all: {others}."


def _name_in(store: TrackedStore, row: Compared, stores: Sequence[TrackedStore]) -> str:
    """What an experiment calls a variant that a row may name as another one does."""
    where = row.claim.partition(", ")[2].removesuffix(".")
    experiment, _, name = where.partition(": ")
    first = next(one for one in stores if one.experiment == experiment)
    wanted = _behind(first)[name]
    return next(mine for mine, found in _behind(store).items() if found == wanted)


def _behind(store: TrackedStore) -> dict[str, Mapping[str, str]]:
    """Variant, with its task where there are several -> its settings."""
    several = len({task for task, _ in store.settings}) > 1
    return {
        f"{task}/{variant}" if several else variant: settings
        for (task, variant), settings in store.settings.items()
    }


def _chosen(rounds: Sequence[int]) -> list[int]:
    """Up to ``COLUMNS`` rounds, evenly spaced, with the last."""
    steps = min(COLUMNS, len(rounds))
    return [rounds[len(rounds) * (n + 1) // steps - 1] for n in range(steps)]


def _density(lines: Mapping[str, Mapping[int, Spread]], number: int) -> float:
    """The density that the first variant has in a round."""
    return next(line[number].density for line in lines.values() if number in line)


def _cell(found: Spread, metric: str, density: float) -> str:
    scale, digits = (100, 2) if metric == ACCURACY else (1, 1)
    own = abs(found.density / density - 1) > NEAR
    parts = [f"at {percent(found.density)} %:"] if own else []
    if found.mean is None or found.low is None or found.high is None:
        return " ".join([*parts, "never" if metric == DELAY else "–"])
    parts.append(f"{scale * found.mean:.{digits}f}")
    if found.num_seeds > 1:
        parts.append(f"({scale * found.low:.{digits}f}–{scale * found.high:.{digits}f})")
    if metric == DELAY and found.num_censored:
        parts.append(f"{found.num_censored} never")
    if found.num_diverged:
        parts.append(f"{found.num_diverged} diverged")
    if found.num_collapsed:
        parts.append(f"{found.num_collapsed} collapsed")
    return " ".join(parts)
