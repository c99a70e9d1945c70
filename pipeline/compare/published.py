"""Published numbers that a figure can mark, for the protocols that a store has run."""

from collections.abc import Iterator, Mapping

from pipeline.compare.claims import (
    DENSE,
    Book,
    Claim,
    Difference,
    Equivalence,
    Leaves,
    Protocol,
    Ratio,
    Reading,
    load,
)
from pipeline.compare.setups import fits, length_of, misfits, recipe_of
from pipeline.results.tables import Row
from pipeline.tracking import TrackedStore

Names = Mapping[str, str]
"""role in a claim -> variant of the store that plays it"""


def published(store: TrackedStore, book: Book | None = None) -> list[Row]:
    """Published numbers about the variants in a store.

    Claims without a number, and claims about other variants, are left out.

    Args:
        store: one experiment.
        book: the claims; None = those of the package.

    Returns:
        task, variant, metric, kind (reading, difference, equivalence, ratio, leaves),
        against and against_at (variant and density that a difference or ratio refers
        to), density, value (None for ``leaves``), source, where.
    """
    book = book or load()
    rows: list[Row] = []
    for task in dict.fromkeys(task for task, _ in store.settings):
        names = {
            name: _roles(store, task, book, protocol)
            for name, protocol in book.protocols.items()
            if _was_run(store, task, protocol)
        }
        for claim in book.claims:
            if claim.protocol in names:
                rows += _rows(claim, task, names[claim.protocol])
    return rows


def _was_run(store: TrackedStore, task: str, protocol: Protocol) -> bool:
    """Whether a task has the settings of a protocol and trained long enough."""
    settings = next(s for (name, _), s in store.settings.items() if name == task)
    steps = length_of(row for row in store.rounds if row["task"] == task)
    enough = steps is not None and steps >= protocol.min_steps
    return enough and fits(settings, protocol.settings)


def _roles(store: TrackedStore, task: str, book: Book, protocol: Protocol) -> Names:
    """Role -> the first variant that plays it with the masks and starts of the protocol."""
    names = {DENSE: DENSE}
    for (name, variant), settings in store.settings.items():
        recipe = dict(recipe_of(settings))
        for role, needed in book.variants.items():
            plays = fits(recipe, needed) and not misfits(recipe, protocol)
            if name == task and plays:
                names.setdefault(role, variant)
    return names


def _rows(claim: Claim, task: str, names: Names) -> Iterator[Row]:
    check = claim.check
    number = None if isinstance(claim.published, str) else claim.published
    if number is None or check.variant not in names:
        return
    row: Row = {
        "task": task,
        "variant": names[check.variant],
        "metric": "early_stop_step",
        "kind": check.kind,
        "against": None,
        "against_at": None,
        "value": number,
        "source": claim.source,
        "where": claim.where,
    }
    if isinstance(check, Reading | Difference | Equivalence | Leaves):
        row["metric"] = check.metric
    if isinstance(check, Leaves):
        yield row | {"density": number, "value": None}
    elif isinstance(check, Reading):
        yield from (row | {"density": density} for density in check.at)
    elif isinstance(check, Difference | Equivalence | Ratio) and check.against in names:
        other = check.against_at if isinstance(check, Ratio) else None
        row["against"] = names[check.against]
        yield from (row | {"density": d, "against_at": other or d} for d in check.at)
