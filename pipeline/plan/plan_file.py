"""Write plan.json, and check that it fits params.yaml."""

from pathlib import Path

from pipeline.artifacts import files, paths
from pipeline.config.settings import Settings
from pipeline.plan.compiler import compile_plan, regroup
from pipeline.plan.items import FILE, Plan, PlanError, groups_in, missing, read
from pipeline.plan.kinds import KINDS

SUMMARY = Path("results/summary.json")
"""dep of stage ``track`` where there are no lines: DVC knows no dep that may be missing"""


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
        raise missing()
    expected = compile_plan(settings, regroup(settings.seeds, groups_in(plan)))
    if plan != expected:
        raise PlanError(
            f"{FILE} does not fit params.yaml ({_difference(plan, expected)}); "
            "run `lt-pipeline plan`, then `dvc repro`"
        )
    return expected  # the same items, in the order of params.yaml


def _difference(plan: Plan, expected: Plan) -> str:
    lacking = [f"{k}@{key}" for k in KINDS for key in expected[k].keys() - plan[k].keys()]
    extra = [f"{k}@{key}" for k in KINDS for key in plan[k].keys() - expected[k].keys()]
    parts = []
    if lacking:
        parts.append(f"{len(lacking)} stages missing, such as {min(lacking)}")
    if extra:
        parts.append(f"{len(extra)} too many, such as {min(extra)}")
    return ", ".join(parts) or "instances read other files"
