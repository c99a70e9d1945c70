"""Write plan.json, and check that it fits params.yaml."""

import os
from pathlib import Path

from pipeline.artifacts import files, paths
from pipeline.border import user_code
from pipeline.border.root import holds_code
from pipeline.config import machine, own_code, params
from pipeline.config.settings import Settings
from pipeline.core import functions
from pipeline.plan import fingerprints, groups
from pipeline.plan.compiler import compile_plan, regroup
from pipeline.plan.current import Standing, standing
from pipeline.plan.items import (
    Item,
    Plan,
    PlanError,
    groups_in,
    items_of,
    missing,
    plan_path,
    read,
)
from pipeline.plan.kinds import KINDS
from pipeline.plan.records import LockError

EXPERIMENT = "DVC_EXP_NAME"
"""the variable in which ``dvc exp run`` tells a stage the name of its experiment"""
NO_CODE = Path("pipeline/stages/plan.py")
"""dep of stage ``plan`` in a clone where params.yaml names no function"""
TRACKED_INSTEAD = {
    "lines": Path("results/summary.json"),
    "approximations": fingerprints.inputs_file("results"),
}
"""kind of stage whose results are tracked -> dep of stage ``track`` where there is none of
it: DVC knows no dep that may be missing, and takes none twice"""


def write(settings: Settings, root: Path = Path(), *, fresh: bool = False) -> Plan:
    """Compile the plan and write it, keeping the groups of seeds that have been run.

    A group that the plan on disk has given up stays given up where it would keep nothing.

    Whatever stood in the file is replaced: two plans half merged, or one that is cut.

    Args:
        settings: what to plan.
        root: of the repository.
        fresh: whether to put all seeds into one group, as for another experiment.

    Raises:
        MachineError: this machine cannot run it.
        CodeError: layers of a network of the user's do not fit.
    """
    machine.refuse_impossible(settings)
    own_code.try_networks(settings)
    begun = {} if fresh else groups.begun(root)
    plan = compile_plan(settings, groups.settle(settings.seeds, begun))
    while replaced := _replaced(plan, settings, root):
        begun = {group: num for group, num in begun.items() if group not in replaced}
        plan = compile_plan(settings, groups.settle(settings.seeds, begun))
    watched = {
        f"tracked_{kind}": str(paths.FOLDER / kind if plan[kind] else instead)
        for kind, instead in TRACKED_INSTEAD.items()
    }
    watched["user_code"] = str(_user_code(settings, root))
    files.save_json(root / plan_path(root), {"plan": plan, **watched})
    return plan


def _replaced(plan: Plan, settings: Settings, root: Path) -> set[groups.Group]:
    """Groups with a removed seed that the plan on disk has given up, and that keep nothing.

    ``presets.use`` gives up all groups. One that was run under other settings would only
    bring its removed seeds back, to be trained again.
    """
    removed = {one for one in groups_in(plan) if set(one) - set(settings.seeds)}
    try:
        before = read(root)
        given_up = removed - set(groups_in(before)) if before is not None else set()
        found = standing(plan, root) if given_up else None
    except (PlanError, LockError):
        return set()
    trainings = [item for item in items_of(plan) if item.kind.trains]
    return given_up - {one.seeds for one in trainings if found and _keeps(one, found)}


def _keeps(item: Item, found: Standing) -> bool:
    """Whether results are current, or may be: DVC or the disk alone has them."""
    recorded = item[item.kind.shown] in found.recorded
    return {"done": True, "stale": not recorded, "missing": recorded}[
        found.state(item.stage)
    ]


def refuse_forgotten(standing: Standing, plan: Plan, *, sought: bool) -> None:
    """Refuse where DVC would make results again because their records are lost.

    One stage may lack its record because dvc was killed before it wrote that.

    Args:
        standing: of the results.
        plan: whose trainings they are.
        sought: whether DVC's cache and git were searched for the record already.

    Raises:
        PlanError: if trainings have results, and more than one of them has no record.
    """
    trainings = [item for item in items_of(plan) if item.kind.trains]
    there = [item for item in trainings if item.stage not in standing.missing]
    lost = [item for item in there if item[item.kind.shown] not in standing.recorded]
    if len(lost) > 1 or (lost and not standing.recorded):
        num = sum(len(item.seeds) for item in lost)
        advice = (
            "neither DVC's cache nor git has it: restore dvc.lock from elsewhere"
            if sought
            else "`lt-pipeline run` looks for it in DVC's cache and in git"
        )
        raise PlanError(
            f"{num} finished trainings have no record in dvc.lock, so that DVC would make "
            f"them again; {advice}, or go on with --force"
        )


def asked(settings: Settings, root: Path = Path()) -> Plan:
    """The plan that the settings ask for, with the groups of the one on disk.

    Raises:
        PlanError: if there is none, or something else.
    """
    plan = read(root)
    if plan is None:
        raise missing(root)
    return compile_plan(settings, regroup(settings.seeds, groups_in(plan)))


def _user_code(settings: Settings, root: Path) -> Path:
    """The user's code that stage ``plan`` watches: the package with all functions.

    Raises:
        PlanError: if they lie in several; DVC's templates have no lists of deps.
    """
    named = [task.model.import_ for task in settings.tasks.values()]
    named += [source.import_ for source in settings.datasets.values()]
    named += [functions.function_in(name) for _, name in own_code.names(settings)]
    modules = [user_code.module_of(name) for name in named if name is not None]
    found = user_code.packages(modules, root=root)
    if len(found) > 1:
        raise PlanError(
            f"the functions in params.yaml lie in {' and '.join(map(str, found))}; put "
            "them into one package, whose edits are then noticed"
        )
    return found[0] if found else NO_CODE if holds_code(root) else params.FILE


def check(settings: Settings, root: Path = Path()) -> Plan:
    """The plan on disk, if it is what the settings ask for.

    Raises:
        PlanError: with one line that says what to run.
    """
    expected = asked(settings, root)
    if found := misfit(expected, root):
        raise PlanError(found)
    return expected  # the same items, in the order of params.yaml


def misfit(expected: Plan, root: Path = Path()) -> str:
    """One line that says how the plan on disk differs, and what to run; empty if it fits.

    Args:
        expected: what the settings ask for, from ``asked``.
        root: of the repository; it has a plan.
    """
    plan = read(root)
    assert plan is not None
    if plan == expected:
        return ""
    # DVC names its experiments to the stages that it runs for them.
    command = "lt-pipeline exp run -S …" if EXPERIMENT in os.environ else "lt-pipeline run"
    return (
        f"{plan_path(root)} does not fit params.yaml ({_difference(plan, expected)}); "
        f"run `{command}`"
    )


def _difference(plan: Plan, expected: Plan) -> str:
    lacking = [f"{k}@{key}" for k in KINDS for key in expected[k].keys() - plan[k].keys()]
    extra = [f"{k}@{key}" for k in KINDS for key in plan[k].keys() - expected[k].keys()]
    parts = []
    if lacking:
        parts.append(f"{len(lacking)} stages missing, such as {min(lacking)}")
    if extra:
        parts.append(f"{len(extra)} too many, such as {min(extra)}")
    return ", ".join(parts) or "instances read other files"
