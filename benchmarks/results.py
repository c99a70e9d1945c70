"""Write the verdicts of one store into the results page, and share the store as tables.

    python benchmarks/results.py --uri sqlite:////path/mlflow.db [--gpu FOLDER]

One script, one store: which experiments it holds, with seeds, steps, commit and time; the
figures; the verdicts, and those that the rule before 2026-11-28 (Student's t at 5 %) would
have given otherwise; what a GPU measured, if ``--gpu`` has the folder of
``benchmarks/gpu.py``. The text replaces what stands between ``<!-- results -->`` and
``<!-- /results -->`` in docs/results.md. The tables go to docs/tables, where anyone can
judge them again without training: ``lt-pipeline compare --uri docs/tables``. ``--uri``
takes such a folder as well.
"""

import argparse
import json
from collections.abc import Iterator, Sequence
from pathlib import Path

from measuring import ROOT

from pipeline import plots, tracking
from pipeline.compare import (
    LAYOUTS,
    Compared,
    compare,
    published,
    run_here,
    untrained,
)
from pipeline.tracking import TrackedStore, shared_tables

PAGE = ROOT / "docs" / "results.md"
TABLES = ROOT / "docs" / "tables"
FIGURES = ROOT / "docs" / "figures" / "store"
DRAWN = ("test_accuracy", "early_stop_step")
"""figures of every experiment, where the store has something for them"""
BEGIN, END = "<!-- results -->\n", "<!-- /results -->"


def page(
    stores: Sequence[TrackedStore], gpu: Path | None, figures: Sequence[str] = ()
) -> str:
    """The generated part of the page."""
    rows = run_here(compare(stores))
    return "\n".join(
        [
            *_sources(stores),
            "",
            *_changed(rows),
            "",
            LAYOUTS["markdown"](rows),
            "",
            *figures,
            *_gpu(gpu),
            "",
        ]
    )


def write(text: str, path: Path = PAGE) -> None:
    """Replace what stands between the markers.

    Raises:
        ValueError: the page has no markers.
    """
    before, _, rest = path.read_text(encoding="utf-8").partition(BEGIN)
    old, mark, after = rest.partition(END)
    if not mark:
        raise ValueError(f"{path} lacks the markers {BEGIN.strip()} and {END}")
    del old
    path.write_text(f"{before}{BEGIN}{text}{mark}{after}", encoding="utf-8")


def _sources(stores: Sequence[TrackedStore]) -> Iterator[str]:
    yield "| experiment | seeds | steps | trainings | commit | core hours |"
    yield "|---|--:|--:|--:|---|--:|"
    for store in stores:
        trainings = {
            (r["task"], r["variant"] if r["round"] else "", r["round"], r["seed"]): r
            for r in store.rounds
        }.values()
        steps = sorted({f"{row['steps']:,}" for row in trainings if row["steps"]})
        hours = sum(row.get("seconds") or 0.0 for row in trainings) / 3600
        cells = [
            store.experiment,
            str(len({row["seed"] for row in trainings})),
            ", ".join(steps),
            str(len(trainings)),
            ", ".join(store.commits) or "–",
            f"{hours:.1f}" if hours else "–",
        ]
        yield f"| {' | '.join(cells)} |"


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


def drawn(stores: Sequence[TrackedStore], folder: Path = FIGURES) -> Iterator[str]:
    """Draw the figures of every experiment; a line of the page for each."""
    for store in stores:
        for name in DRAWN:
            out = folder / store.experiment
            try:
                files = plots.draw(
                    store,
                    out=out,
                    figures=(name,),
                    published=published(store),
                    untrained=untrained(store),
                )
            except plots.PlotError:
                continue
            for file in files:
                yield f"![{store.experiment}: {name}](figures/store/{out.name}/{file.name})"
                yield ""


def read(uri: str) -> list[TrackedStore]:
    """The experiments of a store or of a folder of tables."""
    if Path(uri).is_dir():
        return shared_tables.read(Path(uri))
    return tracking.read_all(uri)


def main() -> None:
    """Read the store, write page and tables."""
    options = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    options.add_argument("--uri", required=True)
    options.add_argument("--gpu", type=Path)
    given = options.parse_args()
    stores = read(given.uri)
    if given.gpu and given.gpu.is_dir():
        stores += shared_tables.read(given.gpu)
    write(page(stores, given.gpu, list(drawn(stores))))
    shared_tables.write(stores, TABLES)
    print(f"{PAGE} and {TABLES}: {len(stores)} experiments")


if __name__ == "__main__":
    main()
