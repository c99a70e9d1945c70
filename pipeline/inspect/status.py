"""Show which rounds of each variant are done, stale, or missing."""

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.artifacts import files
from pipeline.artifacts.paths import Instance
from pipeline.border.errors import UserError
from pipeline.config.settings import Settings
from pipeline.plan.compiler import upstream
from pipeline.plan.items import Plan, items_of


class StatusError(UserError):
    """DVC could not say which stages are stale."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Cell:
    """One training of one seed."""

    instance: Instance
    seed: int
    state: str
    """done, stale, or missing"""
    accuracy: float | None
    """test accuracy at the end, a fraction; None where there is no result"""


def cells(settings: Settings, plan: Plan, root: Path, stale: set[str]) -> list[Cell]:
    """The state of every training of the plan, for the active seeds.

    Args:
        settings: the settings of the experiment.
        plan: the plan that fits them.
        root: root folder of the repository.
        stale: names of stages, from ``stale_stages``. A training is stale if its own
            stage is stale, or a stage from which it gets its weights or its mask.
    """
    behind = upstream(plan)
    found = []
    for item in items_of(plan, "train", "retrain"):
        instance = Instance(
            task=item["task"],
            variant=item["variant"],
            round=item.number("round"),
            seeds=item.seeds,
        )
        result = _result(root / item.path("results"))
        for seed in instance.seeds:
            if seed not in settings.seeds:
                continue
            facts = result.get("seeds", {}).get(str(seed))
            state = "missing" if facts is None else "done"
            if facts is not None and not stale.isdisjoint(behind[item["trained"]]):
                state = "stale"
            accuracy = facts["test_accuracy"] if facts else None
            found.append(Cell(instance=instance, seed=seed, state=state, accuracy=accuracy))
    return found


def analyses(plan: Plan, root: Path, stale: set[str]) -> list[str]:
    """A line per analysis and task: how many of its places are done.

    Args:
        plan: the plan of the experiment.
        root: root folder of the repository.
        stale: names of stages, from ``stale_stages``.
    """
    behind = upstream(plan)
    states: dict[str, list[str]] = {}
    for item in items_of(plan, "lines"):
        state = "done" if (root / item["lines"] / "lines.json").exists() else "missing"
        if state == "done" and not stale.isdisjoint(behind[item["lines"]]):
            state = "stale"
        states.setdefault(f"{item['task']}/{item['analysis']}", []).append(state)
    return [
        f"{name}: {found.count('done')} of {len(found)} places done"
        + (f", {found.count('stale')} stale" if "stale" in found else "")
        for name, found in states.items()
    ]


def stale_stages(root: Path) -> set[str]:
    """Names of the stages whose inputs or outputs differ from those DVC has recorded.

    Raises:
        StatusError: if dvc fails.
    """
    command = [sys.executable, "-m", "dvc", "status", "--json"]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    if done.returncode:
        lines = done.stderr.strip().splitlines() or ["no message"]
        raise StatusError(f"dvc status failed: {lines[-1]}")
    return set(json.loads(done.stdout.strip().splitlines()[-1]))


def table(cells: list[Cell], settings: Settings) -> str:
    """A text table: a row per task, variant and seed, a column per round."""
    columns = ["r00", *(f"r{r:02d}" for r in range(1, settings.rounds + 1))]
    rows: dict[tuple[str, str, int], dict[int, Cell]] = {}
    for cell in cells:
        instance = cell.instance
        key = (instance.task, instance.variant, cell.seed)
        rows.setdefault(key, {})[instance.round] = cell
    names = {key: f"{key[0]}/{key[1]} seed {key[2]}" for key in rows}
    width = max((len(name) for name in names.values()), default=0)
    lines = [" " * width + "".join(f"{column:>8}" for column in columns)]
    for key, row in rows.items():
        shown = "".join(f"{_shown(row.get(r)):>8}" for r in range(len(columns)))
        lines.append(f"{names[key]:<{width}}{shown}".rstrip())
    counts = {s: sum(c.state == s for c in cells) for s in ("done", "stale", "missing")}
    lines.append(
        f"{counts['done']} done, {counts['stale']} stale (*), "
        f"{counts['missing']} missing (-); test accuracy at the end in %"
    )
    return "\n".join(lines)


def _shown(cell: Cell | None) -> str:
    if cell is None:
        return ""
    if cell.state == "missing":
        return "-"
    number = "nan" if cell.accuracy is None else f"{100 * cell.accuracy:.2f}"
    return number + ("*" if cell.state == "stale" else "")


def _result(folder: Path) -> dict[str, Any]:
    path = folder / "result.json"
    value: dict[str, Any] = files.load_json(path) if path.exists() else {}
    return value
