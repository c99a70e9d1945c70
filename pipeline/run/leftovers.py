"""What lies in the workspace and the plan no longer has."""

import shutil
from pathlib import Path

from pipeline.artifacts import paths
from pipeline.plan.compiler import Plan
from pipeline.run import checkpoints

_ROUND = "*/*/*/*"
TREES = {
    "masks": _ROUND,
    "starts": _ROUND,
    "trained": _ROUND,
    "results": _ROUND,
    "timing": _ROUND,
    "theta0": "*/*",
    "early": "*/*/*",
    "copies": _ROUND,
    "lines": _ROUND,
}
"""trees below ``artifacts/`` that hold instances, and how deep these lie"""


def folders(plan: Plan, root: Path = Path()) -> list[Path]:
    """Results and checkpoints of instances that the plan no longer has."""
    held = _held(plan)
    found = [
        path
        for tree, known in held.items()
        for path in sorted((root / paths.FOLDER / tree).glob(TREES[tree]))
        if str(path.relative_to(root / paths.FOLDER / tree)).removesuffix(".json")
        not in known
    ]
    prefixes = {"results": "", "early": "early-", "copies": "copies-", "lines": "lines-"}
    keys = {
        prefix + path.replace("/", "-")
        for tree, prefix in prefixes.items()
        for path in held[tree]
    }
    kept = sorted((root / checkpoints.FOLDER).glob("*"))
    return found + [folder for folder in kept if folder.name not in keys]


def _held(plan: Plan) -> dict[str, set[str]]:
    """Tree of artifacts -> the paths below it that the plan has."""
    rounds = _paths(plan, "train") | _paths(plan, "retrain")
    timed = {str(item["timing"]) for item in plan["early"].values()}
    theta0 = paths.FOLDER / "theta0"
    return {
        "masks": rounds,
        "starts": rounds,
        "trained": rounds,
        "results": rounds,
        "timing": rounds | timed | _paths(plan, "copies"),
        "theta0": {
            str(Path(str(item["theta0"])).relative_to(theta0))
            for item in plan["init"].values()
        },
        "early": _paths(plan, "early"),
        "copies": _paths(plan, "copies"),
        "lines": _paths(plan, "lines"),
    }


def _paths(plan: Plan, stage: str) -> set[str]:
    return {str(item["path"]) for item in plan[stage].values()}


def remove(plan: Plan, root: Path = Path()) -> int:
    """Delete what ``folders`` finds; DVC's cache restores it when it is back."""
    found = folders(plan, root)
    for path in found:
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()
    for parent in {path.parent for path in found}:
        for folder in (parent, *parent.parents[:2]):
            if folder.is_dir() and not any(folder.iterdir()):
                folder.rmdir()
    return len(found)
