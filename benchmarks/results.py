"""Write what stores of results say into the results page, and share it as tables.

    python benchmarks/results.py --uri sqlite:////path/mlflow.db [--uri …]
        [--experiment NAME …] [--gpu FOLDER]

Every experiment gets a section of docs/results.md: a table and figures between
``<!-- EXPERIMENT -->`` and ``<!-- /EXPERIMENT -->``, and its verdicts. What people wrote
around the markers stays. A summary stands between ``<!-- results -->`` and
``<!-- /results -->``: seeds, steps, commit and time of each experiment, verdicts that the
rule before 2026-11-28 (Student's t at 5 %) would have given otherwise, and what a GPU
measured, if ``--gpu`` has the folder of ``benchmarks/gpu.py``.

``--uri`` takes an MLflow store or a folder of tables; of an experiment in several of them
the last is used; ``--experiment`` takes only some of them, for example those that have
ended. Experiments that docs/tables has already stay, so that a new store adds to the
page. The tables go to docs/tables, where anyone can judge them again without
training: ``lt-pipeline compare --uri docs/tables``.
"""

import argparse
import json
import shutil
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import results_tables
from measuring import ROOT
from pages import fill

from pipeline import plots, tracking
from pipeline.compare import (
    LAYOUTS,
    Compared,
    compare,
    published,
    run_here,
    summary,
    untrained,
)
from pipeline.plots.spread import pruned_variants
from pipeline.tracking import TrackedStore, shared_tables

PAGE = ROOT / "docs" / "results.md"
TABLES = ROOT / "docs" / "tables"
FIGURES = ROOT / "docs" / "figures" / "store"
LEGIBLE = 8
"""variants; with more, curves of accuracy show those with masks of their own alone, and
the other curves are not drawn"""
WINNING = "winning-ticket"
"""id of the rows on the definition of a winning ticket"""
DRAWN = (
    "test_accuracy",
    "protocols",
    "criteria",
    "early_stop_step",
    "delay",
    "cost",
    "error_barrier",
    "mask_overlap",
    "approximation",
)
"""the figures of an experiment, where it has data for them"""
NEW = "<!-- new sections come here -->"
"""stands in the page where sections of new experiments go"""


def write(
    stores: Sequence[TrackedStore],
    gpu: Path | None,
    page: Path = PAGE,
    figures: Path = FIGURES,
) -> None:
    """Write the summary and the section of every experiment into the page.

    Raises:
        ValueError: the page lacks a marker.
    """
    rows = run_here(compare(stores))
    text = page.read_text(encoding="utf-8")
    text = fill(text, "results", _lines(_summary(stores, rows, gpu)))
    for store in stores:
        name = store.experiment
        if f"<!-- {name} -->" not in text:
            text = _with_section(text, name)
        text = fill(text, name, _lines(_section(store, stores, rows, figures)))
    page.write_text(text, encoding="utf-8")


def _lines(lines: Iterable[str]) -> str:
    return "\n".join(lines).strip()


def _with_section(page: str, name: str) -> str:
    """The page with an empty section, where new ones go."""
    if NEW not in page:
        raise ValueError(f"the page lacks the marker {NEW}")
    section = f"### {name}\n\n<!-- {name} -->\n<!-- /{name} -->\n\n"
    return page.replace(NEW, section + NEW)


def _summary(
    stores: Sequence[TrackedStore], rows: Sequence[Compared], gpu: Path | None
) -> Iterator[str]:
    yield from _sources(stores)
    yield ""
    yield f"Verdicts: {summary(rows)}."
    yield ""
    yield from _changed(rows)
    yield ""
    yield from _gpu(gpu)


def _sources(stores: Sequence[TrackedStore]) -> Iterator[str]:
    yield "| experiment | seeds | steps | trainings | commit | core hours |"
    yield "|---|--:|--:|--:|---|--:|"
    for store in stores:
        trainings = results_tables.trainings(store.rounds)
        steps = sorted({row["steps"] for row in trainings if row["steps"]})
        cells = [
            f"[{store.experiment}](#{store.experiment.replace('.', '')})",
            str(len({row["seed"] for row in trainings})),
            ", ".join(f"{number:,}" for number in steps),
            str(len(trainings)),
            ", ".join(store.commits) or "–",
            _hours([row.get("seconds") for row in trainings]),
        ]
        yield f"| {' | '.join(cells)} |"


def _hours(seconds: Sequence[float | None]) -> str:
    """The hours of trainings; at least those that are known."""
    known = [number for number in seconds if number is not None]
    least = "≥ " if len(known) < len(seconds) else ""
    return f"{least}{sum(known) / 3600:.1f}" if known else "–"


def _changed(rows: Sequence[Compared]) -> Iterator[str]:
    """The verdicts that the rule before would have given otherwise."""
    changed = [row for row in rows if row.by_t and row.by_t != row.verdict]
    if not changed:
        yield "Student's t at 5 %, the rule before, gives the same verdicts."
        return
    yield "Verdicts that Student's t at 5 %, the rule before, would have given otherwise:"
    yield ""
    yield "| claim | before | now |"
    yield "|---|---|---|"
    for row in changed:
        yield f"| {row.claim} | {row.by_t} | {row.verdict} |"


def _section(
    store: TrackedStore,
    stores: Sequence[TrackedStore],
    rows: Sequence[Compared],
    figures: Path,
) -> Iterator[str]:
    """Tables, figures and verdicts of one experiment among the stores."""
    yield from results_tables.tables(store)
    yield from drawn(store, figures)
    mine = [row for row in rows if store.experiment in row.experiment.split(", ")]
    claims = [row for row in mine if row.id != WINNING]
    if claims:
        yield LAYOUTS["markdown"](claims).partition("\n\n")[2]  # without its title
        yield ""
    tickets = [row for row in mine if row.id == WINNING]
    if tickets:
        yield from results_tables.winning(tickets, store, stores)


def drawn(store: TrackedStore, folder: Path) -> Iterator[str]:
    """Draw every figure that the experiment has data for; a line of the page for each."""
    out = folder / store.experiment
    shutil.rmtree(out, ignore_errors=True)
    for name in _figures(store):
        shown = _own_masks(store) if name == "test_accuracy" else store
        try:
            files = plots.draw(
                shown,
                out=out,
                figures=(name,),
                published=published(store),
                untrained=untrained(store),
            )
        except plots.PlotError:
            continue  # the store has nothing for this figure
        for file in files:
            file.with_suffix(".csv").unlink()  # docs/tables has the numbers
            where = f"figures/store/{out.name}/{file.name}"
            yield f"![{store.experiment}: {file.stem}]({where})"
            yield ""


def _own_masks(store: TrackedStore) -> TrackedStore:
    """The experiment with fewer variants, where all are too many for one figure.

    Tasks that have only a dense network keep it.
    """
    if len(pruned_variants(store.rounds)) <= LEGIBLE:
        return store
    known = store.settings
    rows = (
        row
        for row in store.rounds
        if known[row["task"], row["variant"]].get("prune.mask", "own") == "own"
    )
    return replace(store, rounds=tuple(rows))


def _figures(store: TrackedStore) -> list[str]:
    left: set[str] = set()
    if len(pruned_variants(store.rounds)) > LEGIBLE:
        left |= {"early_stop_step", "cost"}
    if results_tables.shared(store):  # the figure ``protocols`` shows them
        left |= {"test_accuracy", "early_stop_step", "criteria"}
    return [name for name in DRAWN if name not in left]


def _gpu(folder: Path | None) -> Iterator[str]:
    yield "### On a GPU"
    yield ""
    file = folder / "gpu.json" if folder else None
    if file is None or not file.exists():
        yield "Not run yet: `python benchmarks/gpu.py --minutes 13 --out gpu`, then make"
        yield "this page again with `--gpu gpu`."
        return
    found = json.loads(file.read_text(encoding="utf-8"))
    yield (
        f"{found['device']}, {found['date']}: largest difference from the reference "
        f"{found['difference']:.1e}; Conv-2 with {found['seeds']} seeds."
    )
    yield ""
    yield "| model | side by side | steps/s of each |"
    yield "|---|--:|--:|"
    for row in found["rates"]:
        yield f"| {row['model']} | {row['lanes']} | {row['steps_per_s']:,.0f} |"


def read(uri: str) -> list[TrackedStore]:
    """The experiments of a store or of a folder of tables."""
    if Path(uri).is_dir():
        return shared_tables.read(Path(uri))
    return tracking.read_all(uri)


def main() -> None:
    """Read the stores, write tables and page."""
    options = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    options.add_argument("--uri", required=True, action="append")
    options.add_argument("--experiment", action="append", default=[])
    options.add_argument("--gpu", type=Path)
    given = options.parse_args()
    places = [*given.uri, *([str(given.gpu)] if given.gpu else [])]
    fresh = [store for place in places for store in read(place)]
    wanted = given.experiment or [store.experiment for store in fresh]
    if unknown := set(wanted) - {store.experiment for store in fresh}:
        options.error(f"no experiment {', '.join(sorted(unknown))} in {', '.join(places)}")
    found = {store.experiment: store for store in shared_tables.read(TABLES)}
    found |= {store.experiment: store for store in fresh if store.experiment in wanted}
    shared_tables.write(list(found.values()), TABLES)
    stores = shared_tables.read(TABLES)
    write(stores, given.gpu)
    print(f"{PAGE} and {TABLES}: {len(stores)} experiments")


if __name__ == "__main__":
    main()
