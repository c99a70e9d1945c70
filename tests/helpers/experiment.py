"""A finished experiment of a few seconds: the real stages, called as functions.

Digits, an MLP of 8 hidden units, 2 seeds, 2 rounds of 2 steps, and the four variants of
the paper. Tests that break something work on a copy.
"""

import contextlib
import json
from collections.abc import Iterable
from copy import deepcopy
from pathlib import Path
from typing import Any

from pipeline.artifacts import paths
from pipeline.artifacts.paths import Instance
from pipeline.config import params
from pipeline.config.settings import Settings
from pipeline.plan import plan_file
from pipeline.plan.items import Item, items_of
from pipeline.plan.kinds import KINDS
from pipeline.stages import (
    approximations,
    copies,
    data,
    early,
    given,
    init,
    lines,
    matched,
    networks,
    own,
    pooled,
    prune,
    results,
    retrain,
    rewind,
    train,
)

STAGES = {
    module.__name__.rpartition(".")[2]: module
    for module in (
        data,
        own,
        init,
        train,
        early,
        prune,
        given,
        matched,
        networks,
        pooled,
        rewind,
        retrain,
        copies,
        lines,
        approximations,
    )
}
SEEDS = (0, 1)
ROUNDS = (1, 2)
OWN = ("ticket", "one-shot")
VARIANTS = ("ticket", "one-shot", "reinit", "random-mask")

_MAIN = {
    "data": "digits",
    "model": {"name": "mlp", "widths": [8], "init": "glorot-normal"},
    "train": {
        "steps": 2,
        "epochs": None,
        "batch_size": 32,
        "optimizer": "sgd",
        "lr": 0.1,
        "momentum": 0.9,
        "weight_decay": 0.0,
        "schedule": {"name": "constant", "milestones": [], "gamma": 1.0, "warmup_steps": 0},
        "augment": "none",
        "evaluate_every": 1,
        "test_cadence": "improved",
        "common_noise": True,
        "engine": "reference",
        "device": "cpu",
        "processes": 1,
    },
    "compat": None,
}
_TICKET: dict[str, Any] = {
    "tasks": ["main"],
    "prune": {
        "mask": "own",
        "transform": None,
        "schedule": "iterative",
        "criterion": "magnitude",
        "scope": "layerwise",
        "fraction": {"fc": 0.3, "output": 0.15},
    },
    "rewind": {"to": "theta0", "step": None, "draw": None, "pruned": "zero"},
}
_TAKEN = {
    "mask": "ticket",
    "transform": None,
    "schedule": None,
    "criterion": None,
    "scope": None,
    "fraction": None,
}


INSTABILITY: dict[str, Any] = {
    "kind": "instability",
    "tasks": ["main"],
    "of": "dense",
    "to": None,
    "rounds": None,
    "steps": [0],
    "pairs": 1,
    "points": 5,
    "recalibration_batches": None,
}
CONNECTION: dict[str, Any] = INSTABILITY | {
    "kind": "connection",
    "of": "ticket",
    "to": "previous",
    "rounds": [1],
    "steps": None,
    "pairs": None,
}
"""analyses for the tests that need some"""
APPROXIMATION: dict[str, Any] = {
    "tasks": ["main"],
    "of": "dense",
    "rounds": None,
    "construction": "direct",
    "candidates": 16,
    "epsilon": 0.01,
}
"""an approximation, likewise"""


def raw() -> dict[str, Any]:
    """The settings as they stand in params.yaml; a new copy each time."""
    settings = {
        "experiment": "toy",
        "rounds": len(ROUNDS),
        "seeds": list(SEEDS),
        "looks": [8, 10, 12],
        "workers": 2,
        "data": {"root": "data", "download": False},
        "tasks": {"main": _MAIN},
        "variants": {
            "ticket": _TICKET,
            "one-shot": _TICKET | {"prune": _TICKET["prune"] | {"schedule": "one-shot"}},
            "reinit": {
                "tasks": ["main"],
                "prune": _TAKEN,
                "rewind": {"to": "reinit", "step": None, "draw": 0, "pruned": "zero"},
            },
            "random-mask": {
                "tasks": ["main"],
                "prune": _TAKEN | {"transform": "shuffle"},
                "rewind": {"to": "theta0", "step": None, "draw": None, "pruned": "zero"},
            },
        },
        "analyses": {},
    }
    return deepcopy(settings)


def edited(**changes: object) -> dict[str, Any]:
    """The settings with changes: ``tasks__main__train__lr=0.2``."""
    settings = raw()
    for path, value in changes.items():
        *parents, last = path.split("__")
        place = settings
        for parent in parents:
            place = place[parent]
        place[last] = value
    return settings


def settings(**changes: object) -> Settings:
    """The edited settings, checked."""
    return params.parse(edited(**changes))


def link_code(root: Path) -> None:
    """Link the pipeline's code into ``root``, where commands look for what they hash."""
    (root / "pipeline").mkdir(exist_ok=True)
    for code in (Path(__file__).parents[2] / "pipeline").iterdir():
        link = root / "pipeline" / code.name
        if code.name not in ("plan.json", "__pycache__") and not link.exists():
            link.symlink_to(code)


def write(root: Path, **changes: object) -> None:
    """Make ``root`` the root of an experiment with these settings, planned."""
    link_code(root)
    (root / "dvc.yaml").touch()
    (root / "params.yaml").write_text(json.dumps(edited(**changes)))  # JSON is YAML
    plan_file.write(params.load(root), root)


def run() -> None:
    """Run every stage of the working directory's plan, in DVC's order, and the tables."""
    _run(items_of(plan_file.check(params.load())))
    results.run()


def finish(root: Path, **changes: object) -> Path:
    """Plan an experiment with these settings in ``root`` and run it there; its root."""
    root.mkdir(exist_ok=True)
    write(root, **changes)
    with contextlib.chdir(root):
        run()
    return root


def at(variant: str, round: int) -> Instance:
    """A round of a variant of the experiment."""
    return Instance(task="main", variant=variant, round=round, seeds=SEEDS)


def trained(variant: str, round: int) -> Path:
    """The folder of the networks that the round trained."""
    return paths.trained_folder(at(variant, round))


def run_prepared() -> None:
    """Run every stage after ``data``."""
    later = [kind for kind in KINDS if kind != "data"]
    _run(items_of(plan_file.check(params.load()), *later))


def _run(items: Iterable[Item]) -> None:
    waiting = list(items)
    while waiting:
        item = next(one for one in waiting if not _reads_of_another(one, waiting))
        STAGES[item.kind.name].run(item.key)
        waiting.remove(item)


def _reads_of_another(item: Item, waiting: list[Item]) -> bool:
    written = {other[name] for other in waiting for name in other.kind.writes}
    return any(item[name] in written for name in item.kind.reads)
