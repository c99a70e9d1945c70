"""Make the numbers and figures of README and docs again, and write them in.

    python benchmarks/readme.py                  # everything, about 10 minutes
    python benchmarks/readme.py digits           # the default experiment: 2 minutes
    python benchmarks/readme.py mnist            # from docs/tables: at once
    python benchmarks/readme.py engines

What has to run does so in a fresh clone of the commit that is checked out (``HEAD``), so
that a number can name its commit. What it finds replaces the text between two markers,
``<!-- NAME -->`` and ``<!-- /NAME -->``, in ``README.md``, ``docs/results.md`` and
``docs/speed.md``; figures go to ``docs/figures``.
``LT_RIVALS_PYTHON`` may name an interpreter that sees the libraries of ``rivals.py``.
"""

import argparse
import csv
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from statistics import geometric_mean, mean
from typing import Any

import clone
import measuring
from measuring import ROOT, Report
from pages import fill
from speed_tables import layers_table, peaks_table, speed_sentence, speed_table

from pipeline.tracking import shared_tables

Blocks = Mapping[str, str]
"""name of a pair of markers -> the text between them"""
Row = Mapping[str, Any]
"""a round of one seed"""
PAGES = ("README.md", "docs/results.md", "docs/speed.md")
FIGURES = ROOT / "docs" / "figures"
LENET = "lenet-paper"
"""the experiment whose tickets README shows"""
README_ROUNDS = (0, 3, 7, 15, 20)
RESULTS_ROUNDS = (0, 3, 6, 7, 9, 12, 15, 16, 18, 20)


def main() -> None:
    """Run the named parts, and write what they found into the pages."""
    options = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    options.add_argument("parts", nargs="*", metavar="PART", help=", ".join(PARTS))
    arguments = options.parse_args()
    unknown = set(arguments.parts) - set(PARTS)
    if unknown:
        options.error(f"unknown part {sorted(unknown)}; there are {', '.join(PARTS)}")
    for part in arguments.parts or PARTS:
        with tempfile.TemporaryDirectory(prefix="lt-readme-") as folder:
            root = Path(folder) / "clone"
            clone.run(Path(folder), ["git", "clone", "-q", str(ROOT), str(root)])
            print(f"{part}: running in {root}", flush=True)
            write(PARTS[part](root))
        print(f"{part}: written", flush=True)


def digits(root: Path) -> Blocks:
    """The default experiment: its figure, and a line about its last round."""
    where = _run(root, [clone.python("pipeline.cli", "run")])
    _take(root / "figures" / "test_accuracy.png", "digits-test-accuracy.png")
    rows = read_rows(root)
    last = max(row["round"] for row in rows)
    ends = [_end(rows, "ticket", 0), _end(rows, "ticket", last), _end(rows, "reinit", last)]
    dense, ticket, reinit = (f"{100 * accuracy:.1f} %" for accuracy in ends)
    kept = 100 * mean(row["density"] for row in rows if row["round"] == last)
    return {
        "digits": "![Test accuracy against weights remaining]"
        "(docs/figures/digits-test-accuracy.png)\n\n"
        f"Test accuracy at the end, mean of 4 seeds: dense {dense}; with {kept:.1f} % of "
        f"the weights the ticket has {ticket}, its control {reinit}.\n"
        f"*Made by `lt-pipeline run` {where}.*"
    }


def mnist(_: Path) -> Blocks:
    """Tickets and controls on MNIST: a short and a long table of known results."""
    (store,) = shared_tables.read(ROOT / "docs" / "tables", LENET)
    made = (
        f"*Made by `lt-pipeline use {LENET} && lt-pipeline run` at commit "
        f"{', '.join(store.commits)}.*"
    )
    return {
        "mnist": f"{short_table(store.rounds, README_ROUNDS)}\n\n{made}",
        "mnist-table": long_table(store.rounds, RESULTS_ROUNDS),
    }


def engines(root: Path) -> Blocks:
    """Steps per second of every engine, and layers of other libraries beside ours."""
    path = ["env", f"PYTHONPATH={root}"]
    layers = ["benchmarks/layers.py", "--out", "layers.json"]
    engines = ["benchmarks/engines.py", "--out", "engines.json", "--layers", "layers.json"]
    rivals = os.environ.get("LT_RIVALS_PYTHON", sys.executable)
    where = _run(root, [[*path, rivals, *layers], [*path, sys.executable, *engines]])
    _take(root / "engines.png", "engines.png")
    report, of_layers = _report(root / "engines.json"), _report(root / "layers.json")
    made = _made("engines.py", where, report)
    return {
        "engines": f"{speed_sentence(report['rows'])}\n{made}",
        "engines-table": f"{speed_table(report['rows'])}\n\n{made}",
        "engines-peaks": f"{peaks_table(report['rows'], report['peaks'])}\n\n{made}",
        "engines-layers": f"{layers_table(of_layers['rows'])}\n\n"
        + _made("layers.py", where, of_layers),
    }


PARTS: dict[str, Callable[[Path], Blocks]] = {
    "digits": digits,
    "mnist": mnist,
    "engines": engines,
}


def write(blocks: Blocks, root: Path = ROOT) -> None:
    """Put every block into each page that has its markers.

    Raises:
        ValueError: no page has the markers of a block.
    """
    for name, text in blocks.items():
        pages = [page for page in PAGES if f"<!-- {name} -->" in _text(root / page)]
        if not pages:
            raise ValueError(f"no <!-- {name} --> in {', '.join(PAGES)}")
        for page in pages:
            filled = fill(_text(root / page), name, text)
            (root / page).write_text(filled, encoding="utf-8")


def read_rows(root: Path) -> list[Row]:
    """The rounds that an experiment left, with what ``digits`` shows of them."""
    with (root / "results" / "rounds.csv").open(encoding="utf-8", newline="") as opened:
        return [
            {
                "variant": line["variant"],
                "round": int(line["round"]),
                "density": float(line["density"]),
                "test_accuracy": float(line["test_accuracy"]),
            }
            for line in csv.DictReader(opened)
        ]


def short_table(rows: Sequence[Row], rounds: Iterable[int]) -> str:
    """One line per round: early stop and final accuracy of ticket and reinit."""
    lines = [
        "| weights remaining | early-stop step: ticket | reinit | test accuracy: ticket "
        "| reinit |",
        "|--:|--:|--:|--:|--:|",
    ]
    for number in rounds:
        ticket, reinit = (_seeds(rows, name, number) for name in ("ticket", "reinit"))
        steps = [_step(seeds) for seeds in (ticket, reinit)]
        accuracies = [_percent(seeds, "test_accuracy") for seeds in (ticket, reinit)]
        cells = [_density(ticket), *steps, *(f"{cell} %" for cell in accuracies)]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def long_table(rows: Sequence[Row], rounds: Iterable[int]) -> str:
    """Two lines per round: early stop, accuracy there and at the end, mean and range."""
    lines = [
        "| weights remaining | | early-stop step | test accuracy there "
        "| test accuracy at the end |",
        "|--:|---|--:|--:|--:|",
    ]
    for number in rounds:
        for variant in ("ticket", "reinit") if number else ("ticket",):
            seeds = _seeds(rows, variant, number)
            cells = [
                _density(seeds),
                variant if number else "dense",
                f"{_step(seeds)} ({_step_range(seeds)})",
                _with_range(seeds, "test_accuracy_early_stop"),
                _with_range(seeds, "test_accuracy"),
            ]
            lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _seeds(rows: Sequence[Row], variant: str, number: int) -> list[Row]:
    found = [r for r in rows if r["variant"] == variant and r["round"] == number]
    if not found:
        raise ValueError(f"there is no round {number} of {variant}")
    return found


def _end(rows: Sequence[Row], variant: str, number: int) -> float:
    return float(mean(row["test_accuracy"] for row in _seeds(rows, variant, number)))


def _density(seeds: Sequence[Row]) -> str:
    return f"{100 * mean(row['density'] for row in seeds):.1f} %"


def _step(seeds: Sequence[Row]) -> str:
    """Geometric mean of early stops; ≥ where one lies in the last 5 % and may be later."""
    censored = any(row["censored"] for row in seeds)
    steps = geometric_mean(row["early_stop_step"] for row in seeds)
    return f"{'≥ ' if censored else ''}{steps:,.0f}"


def _step_range(seeds: Sequence[Row]) -> str:
    steps = sorted(row["early_stop_step"] for row in seeds)
    return f"{steps[0]:,}–{steps[-1]:,}"


def _percent(seeds: Sequence[Row], column: str) -> str:
    return f"{100 * mean(row[column] for row in seeds):.2f}"


def _with_range(seeds: Sequence[Row], column: str) -> str:
    values = sorted(100 * row[column] for row in seeds)
    return f"{_percent(seeds, column)} ({values[0]:.2f}–{values[-1]:.2f}) %"


def _run(root: Path, commands: Sequence[Sequence[str]]) -> str:
    """Run commands in the clone; says at which commit and on what they ran."""
    for command in commands:
        clone.run(root, command)
    commit = clone.run(root, ["git", "rev-parse", "--short", "HEAD"]).strip()
    facts = measuring.surroundings()
    return f"at commit {commit} on {facts['date']}, {facts['cpu']}, {facts['cores']} cores"


def _report(file: Path) -> Report:
    report: Report = json.loads(file.read_text(encoding="utf-8"))
    return report


def _made(script: str, where: str, report: Report) -> str:
    out = script.replace(".py", ".json")
    load = report["load_average"][0]
    return f"*Made by `python benchmarks/{script} --out {out}` {where}, load {load}.*"


def _take(drawn: Path, name: str) -> None:
    shutil.copyfile(drawn, FIGURES / name)


def _text(page: Path) -> str:
    return page.read_text(encoding="utf-8") if page.exists() else ""


if __name__ == "__main__":
    main()
