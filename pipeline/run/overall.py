"""Say which of all trainings to come a stage trains: ``trainings 5 to 8 of 84``.

Stages are processes that know nothing of each other. So whoever compares the plan with
the results that are there leaves a list of the instances to come, and a stage counts those
whose result has appeared since.
"""

from contextlib import suppress
from pathlib import Path

from pipeline.artifacts import files
from pipeline.config.settings import Settings
from pipeline.plan import trained
from pipeline.plan.current import Standing
from pipeline.plan.items import Plan, items_of

FILE = Path(".lt/to-come.json")


def leave(settings: Settings, plan: Plan, found: Standing) -> None:
    """Leave the list of the instances that will be trained."""
    trainings = trained.by_stage(settings, plan)
    to_come = [
        {
            "label": item.label,
            "number": trainings[item.stage].number,
            "shown": item[item.kind.shown],
        }
        for item in items_of(plan)
        if item.stage in trainings and found.state(item.stage) != "done"
    ]
    FILE.parent.mkdir(exist_ok=True)
    files.save_json(FILE, to_come)


def place_of(label: str) -> str:
    """The place of an instance among those to come; empty if it is not one of them."""
    with suppress(files.ArtifactError, OSError, LookupError, TypeError):
        since = FILE.stat().st_mtime_ns
        to_come = {one["label"]: one for one in files.load_json(FILE)}
        mine = to_come.pop(label)["number"]
        done, left = 0, 0
        for one in to_come.values():
            if _appeared(Path(one["shown"]), since):
                done += one["number"]
            else:
                left += one["number"]
        return _place(done, mine, done + mine + left)
    return ""


def _appeared(path: Path, since: int) -> bool:
    """Whether a result is there that was written after a moment, in ns."""
    return path.exists() and path.stat().st_mtime_ns > since


def _place(done: int, number: int, total: int) -> str:
    """Such as ``trainings 5 to 8 of 84``.

    >>> _place(4, 1, 14)
    'training 5 of 14'
    >>> _place(4, 4, 84)
    'trainings 5 to 8 of 84'
    """
    if number == 1:
        return f"training {done + 1} of {total}"
    return f"trainings {done + 1} to {done + number} of {total}"
