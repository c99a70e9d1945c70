"""plan.json: read it, write it, hold it against params.yaml."""

import json
from pathlib import Path

from pipeline.artifacts import files, paths
from pipeline.border.errors import UserError
from pipeline.config.settings import Settings
from pipeline.plan.compiler import STAGES, Plan, compile_plan, regroup

FILE = Path("pipeline/plan.json")


SUMMARY = Path("results/summary.json")
"""dep of stage ``track`` where there are no lines: DVC knows no dep that may be missing"""


class PlanError(UserError):
    """The plan does not fit the settings; one line that says so and what to do."""


def read(root: Path = Path()) -> Plan | None:
    """The plan on disk, or None where there is none.

    Raises:
        PlanError: if the file is something else, such as two plans half merged.
    """
    if not (root / FILE).exists():
        return None
    try:
        value = json.loads((root / FILE).read_text(encoding="utf-8"))
        plan: Plan = value["plan"]
        groups_in(plan)
        unknown = set(plan) ^ set(STAGES)
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
        unknown = {"everything"}
    if unknown:
        raise PlanError(
            f"{FILE} is not a plan; restore it with `git checkout {FILE}`, or delete it "
            "and run `lt-pipeline plan`"
        )
    return plan


def groups_in(plan: Plan | None) -> list[tuple[int, ...]]:
    """The groups of seeds of a plan, in its order."""
    items = (plan or {}).get("train", {}).values()
    return list(dict.fromkeys(paths.parse_seeds(str(item["seeds"])) for item in items))


def write(settings: Settings, root: Path = Path(), *, fresh: bool = False) -> Plan:
    """Compile the plan and write it, keeping the groups of seeds that have been run.

    Args:
        settings: what to plan.
        root: of the repository.
        fresh: whether to put all seeds into one group, as for another experiment.
    """
    begun = [] if fresh else _begun(groups_in(read(root)), root)
    plan = compile_plan(settings, regroup(settings.seeds, begun))
    lines = paths.FOLDER / "lines" if plan["lines"] else SUMMARY
    files.save_json(root / FILE, {"plan": plan, "tracked_lines": str(lines)})
    return plan


def _begun(groups: list[tuple[int, ...]], root: Path) -> list[tuple[int, ...]]:
    """The groups that DVC has a stage of; the others can be formed anew."""
    lock = root / "dvc.lock"
    known = lock.read_text(encoding="utf-8") if lock.exists() else ""
    return [g for g in groups if f"{paths.group_name(g)}:\n" in known]


def check(settings: Settings, root: Path = Path()) -> Plan:
    """The plan on disk, if it is what the settings ask for.

    Raises:
        PlanError: with one line that says what to run.
    """
    plan = read(root)
    if plan is None:
        raise PlanError(f"{FILE} is missing; write it with `lt-pipeline plan`")
    expected = compile_plan(settings, regroup(settings.seeds, groups_in(plan)))
    if plan != expected:
        raise PlanError(
            f"{FILE} does not fit params.yaml ({_difference(plan, expected)}); "
            "run `lt-pipeline plan`, then `dvc repro`"
        )
    return plan


def _difference(plan: Plan, expected: Plan) -> str:
    missing = [f"{s}@{key}" for s in STAGES for key in expected[s].keys() - plan[s].keys()]
    extra = [f"{s}@{key}" for s in STAGES for key in plan[s].keys() - expected[s].keys()]
    parts = []
    if missing:
        parts.append(f"{len(missing)} stages missing, such as {min(missing)}")
    if extra:
        parts.append(f"{len(extra)} too many, such as {min(extra)}")
    return ", ".join(parts) or "instances read other files"
