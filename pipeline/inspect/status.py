"""Show which rounds of each variant are done, stale, or missing."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.artifacts import contents
from pipeline.artifacts.paths import Instance
from pipeline.config.settings import Settings
from pipeline.plan.current import Standing
from pipeline.plan.items import Plan, items_of


@dataclass(frozen=True, kw_only=True, slots=True)
class Cell:
    """One training of one seed."""

    instance: Instance
    seed: int
    state: str
    """done, stale, or missing"""
    accuracy: float | None
    """test accuracy by the task's metric, a fraction; None where there is no result"""
    diverged: bool = False
    collapsed: tuple[str, ...] = ()
    """layers that have no weight left, so that nothing passes through them; results of
    earlier versions do not say it"""


def cells(settings: Settings, plan: Plan, root: Path, standing: Standing) -> list[Cell]:
    """The state of every training of the plan, for the active seeds.

    Args:
        settings: the settings of the experiment.
        plan: the plan that fits them.
        root: root folder of the repository.
        standing: of the plan's results.
    """
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
            if facts is None:
                found.append(_missing(instance, seed))
                continue
            found.append(
                Cell(
                    instance=instance,
                    seed=seed,
                    state=standing.state(item.stage),
                    accuracy=None if facts["diverged"] else facts["test_accuracy"],
                    diverged=facts["diverged"],
                    collapsed=tuple(facts.get("collapsed", ())),
                )
            )
    return found


def _missing(instance: Instance, seed: int) -> Cell:
    return Cell(instance=instance, seed=seed, state="missing", accuracy=None)


def analyses(plan: Plan, standing: Standing) -> list[str]:
    """A line per analysis or approximation and task: how many of its places are done.

    Args:
        plan: the plan of the experiment.
        standing: of its results.
    """
    states: dict[str, list[str]] = {}
    for item in items_of(plan, "lines", "approximations"):
        state = standing.state(item.stage)
        name = item.fields.get("analysis", item.fields.get("approximation"))
        states.setdefault(f"{item['task']}/{name}", []).append(state)
    return [
        f"{name}: {found.count('done')} of {len(found)} places done"
        + (f", {found.count('stale')} stale" if "stale" in found else "")
        for name, found in states.items()
    ]


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
        f"{counts['missing']} missing (-); {_metrics(settings)} in %"
    )
    return "\n".join([*lines, *_troubles(cells)])


def _metrics(settings: Settings) -> str:
    """The metrics that tasks call their test accuracy, by name; with tasks, if several."""
    tasks: dict[str, list[str]] = {}
    for name, task in settings.tasks.items():
        tasks.setdefault(task.program.metric.replace("-", " "), []).append(name)
    if len(tasks) == 1:
        return f"test accuracy {next(iter(tasks))}"
    named = (f"{metric} ({', '.join(names)})" for metric, names in tasks.items())
    return f"test accuracy {', '.join(named)}"


def _troubles(cells: Iterable[Cell]) -> Iterator[str]:
    """A line per chain and trouble: the rounds in which it is there."""
    found: dict[str, list[int]] = {}
    for cell in cells:
        name = f"{cell.instance.task}/{cell.instance.variant} seed {cell.seed}"
        if cell.collapsed:
            layers = ", ".join(cell.collapsed)
            trouble = f"collapsed (x): {name}: no weight is left in {layers}, round "
            found.setdefault(trouble, []).append(cell.instance.round)
        if cell.diverged:
            trouble = f"diverged (!): {name}: the loss became infinite or NaN, round "
            found.setdefault(trouble, []).append(cell.instance.round)
    for trouble, rounds in found.items():
        yield trouble + ", ".join(str(round) for round in rounds)


def _shown(cell: Cell | None) -> str:
    if cell is None:
        return ""
    if cell.state == "missing":
        return "-"
    number = "nan" if cell.accuracy is None else f"{100 * cell.accuracy:.2f}"
    marks = (("x", cell.collapsed), ("!", cell.diverged), ("*", cell.state == "stale"))
    return number + "".join(mark for mark, applies in marks if applies)


def _result(folder: Path) -> dict[str, Any]:
    there = (folder / "result.json").exists()
    return contents.load_result(folder) if there else {}
