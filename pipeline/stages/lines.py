"""Stage ``lines``: evaluate networks on the straight line between two networks.

    python -m pipeline.stages.lines main-stable-r00-k000500-s0-3

Reads the copies of an instability analysis, or the trained rounds of a connection.
"""

from pathlib import Path
from typing import Any

from pipeline.artifacts import files, parquet, paths
from pipeline.config import params
from pipeline.config.analysis import PRUNED, Analysis
from pipeline.core import data_orders
from pipeline.core.analysis.pairs import seeds_between
from pipeline.plan import items, places
from pipeline.plan.items import Item
from pipeline.run import instances, lines
from pipeline.run.lines import Ends


def run(key: str) -> None:
    """Save the lines of every seed and pair, and facts about them and their ends."""
    settings = params.load()
    item = items.find("lines", key, settings)
    analysis = settings.analyses[item["analysis"]]
    ends = _copies(item, analysis) if analysis.trains else _trained(item, analysis)
    found = lines.run(
        item.label,
        settings.tasks[item["task"]],
        analysis,
        ends,
        data=item.path("data"),
        at_once=settings.workers,
    )
    with files.atomic_folder(item.path("lines")) as folder:
        rows = [row for seen in found for row in seen.rows]
        parquet.save_lines(folder / "lines.parquet", rows)
        facts = {
            seed: {s.ends.pair: s.facts for s in found if s.ends.seed == seed}
            for seed, _ in seeds_between(analysis.to, item.seeds)
        }
        files.save_json(folder / "lines.json", _head(item) | {"seeds": facts})


def _head(item: Item) -> dict[str, Any]:
    """The head of lines.json: the place, and the settings of the analysis."""
    return {
        "task": item["task"],
        "analysis": item["analysis"],
        "round": item.number("round"),
        "step": item.number("step"),
        "settings": params.resolved()["analyses"][item["analysis"]],
    }


def _copies(item: Item, analysis: Analysis) -> list[Ends]:
    copies = data_orders.of_copies(analysis.pairs or 0)
    return [
        Ends(
            seed=seed,
            pair=pair,
            round=item.number("round"),
            weights=_files(item, seed, copies[2 * pair : 2 * pair + 2], "weights"),
            masks=_files(item, seed, copies[2 * pair : 2 * pair + 2], "mask"),
            start=paths.seed_file(item.path("against"), seed),
        )
        for seed in item.seeds
        for pair in range(len(copies) // 2)
    ]


def _files(item: Item, seed: int, pair: tuple[str, ...], part: str) -> tuple[Path, Path]:
    a, b = (places.copy_file(item.path("ends"), seed, copy, part) for copy in pair)
    return a, b


def _trained(item: Item, analysis: Analysis) -> list[Ends]:
    a, b = item.path("ends"), item.path("against")
    masks_of_b = a if analysis.to == PRUNED else b
    return [
        Ends(
            seed=seed,
            pair=0,
            round=item.number("round"),
            weights=(
                paths.seed_file(a, seed, "weights"),
                paths.seed_file(b, other, "weights"),
            ),
            masks=(
                paths.seed_file(a, seed, "mask"),
                paths.seed_file(masks_of_b, other, "mask"),
            ),
            start=None,
        )
        for seed, other in seeds_between(analysis.to, item.seeds)
    ]


if __name__ == "__main__":
    instances.run_keyed("lines", run)
