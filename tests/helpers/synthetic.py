"""Results that look like a finished experiment, written without any training.

The shapes follow the paper: a ticket learns faster than the dense network down to a
fifth of its weights and beats it, a reinitialised one falls behind from the start.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.artifacts import files, parquet, paths
from pipeline.artifacts.paths import DENSE, Instance
from pipeline.plan.places import Place

SIZES = {"fc1.weight": 235200, "fc2.weight": 30000, "fc3.weight": 1000}
RATES = {"fc1.weight": 0.2, "fc2.weight": 0.2, "fc3.weight": 0.1}
TRAIN: dict[str, Any] = {
    "steps": 2000,
    "epochs": None,
    "batch_size": 60,
    "optimizer": "adam",
    "lr": 0.0012,
    "schedule": {"name": "constant", "milestones": []},
    "evaluate_every": 100,
}
MASKS = {
    "mask": "own",
    "schedule": "iterative",
    "criterion": "magnitude",
    "scope": "layerwise",
    "fraction": {"fc": 0.2, "output": 0.1},
}
RECIPES: dict[str, dict[str, Any]] = {
    "ticket": {
        "prune": MASKS,
        "rewind": {"to": "theta0", "pruned": "zero"},
        "mask_source": None,
    },
    "reinit": {
        "prune": dict.fromkeys(MASKS) | {"mask": "ticket"},
        "rewind": {"to": "reinit", "pruned": "zero"},
        "mask_source": MASKS,
    },
}
LINE = ["theta0", "start", "mask", "trained"]


def active(
    *,
    tasks: Collection[str] = ("main",),
    variants: Collection[str] = ("ticket", "reinit"),
    rounds: int = 2,
    seeds: Collection[int] = (0, 1),
) -> dict[str, dict[str, tuple[range, tuple[int, ...]]]]:
    """The part of a plan that tables and tracking ask for."""
    chains = {name: (range(rounds + 1), tuple(seeds)) for name in variants}
    return {task: dict(chains) for task in tasks}


def fabricate(
    root: Path,
    *,
    tasks: Sequence[str] = ("main",),
    variants: Sequence[str] = ("ticket", "reinit"),
    rounds: int = 2,
    seeds: Sequence[int] = (0, 1),
    lr: float = 0.0012,
    salt: str = "",
    diverged: Collection[tuple[str, int, int]] = (),
) -> None:
    """Write results, curves and timing files below ``root``.

    Args:
        root: of the workspace.
        tasks: their names.
        variants: their names; unknown ones are made like the ticket.
        rounds: the last round.
        seeds: all in one group.
        lr: in the settings of all trainings.
        salt: another one stands for results of changed code.
        diverged: (variant, round, seed) of trainings that failed.
    """
    for task in tasks:
        for name, first, last in [(DENSE, 0, 0), *((v, 1, rounds) for v in variants)]:
            for number in range(first, last + 1):
                instance = Instance(
                    task=task, variant=name, round=number, seeds=tuple(seeds)
                )
                failed = [s for v, r, s in diverged if (v, r) == (name, number)]
                _write(root, instance, lr=lr, salt=salt, failed=failed)


def places_of(
    *,
    analysis: str = "stable",
    places: Sequence[tuple[int, int]] = ((1, 0), (2, 0)),
    seeds: Sequence[int] = (0, 1),
    trains: bool = True,
) -> list[Place]:
    """The places of one analysis, as the plan has them."""
    return [
        Place(
            task="main",
            analysis=analysis,
            round=round,
            step=step,
            trains=trains,
            seeds=tuple(seeds),
        )
        for round, step in places
    ]


def fabricate_lines(
    root: Path,
    places: Iterable[Place],
    *,
    of: str = "ticket",
    to: str | None = None,
    pairs: int = 2,
    points: int = 3,
    recalibrated: bool = False,
    salt: float = 0.0,
    diverged: Collection[tuple[int, int]] = (),
) -> None:
    """Write the lines of an analysis: both ends, and a plateau between them.

    The barrier of interpolated statistics is 0.01 · (seed + pair + round), and half of
    that with recalibrated ones.

    Args:
        root: of the workspace.
        places: of the analysis.
        of: the variant that is analysed, or dense.
        to: the other end, of a connection.
        pairs: per seed.
        points: on each line.
        recalibrated: whether there are lines with recalibrated statistics too.
        salt: is added to every barrier.
        diverged: (seed, pair) of copies whose errors are unknown.
    """
    asked = {
        "kind": "connection" if to else "instability",
        "tasks": ["main"],
        "of": of,
        "to": to,
        "rounds": sorted({place.round for place in places}),
        "steps": None,
        "pairs": None if to else pairs,
        "points": points,
        "recalibration_batches": 4 if recalibrated else None,
    }
    statistics = ["interpolated", *(["recalibrated"] if recalibrated else [])]
    for place in places:
        rows: list[dict[str, Any]] = []
        facts: dict[int, dict[int, Any]] = {}
        for seed in place.seeds:
            facts[seed] = {}
            for pair in range(pairs):
                height = 0.01 * (seed + pair + place.round) + salt
                lines = {
                    name: _plateau(height / n, points, failed=(seed, pair) in diverged)
                    for n, name in enumerate(statistics, start=1)
                }
                for name, (line, _) in lines.items():
                    key = {"seed": seed, "pair": pair, "statistics": name}
                    rows += [key | point for point in line]
                facts[seed][pair] = _line_facts(pair, asked) | {
                    "statistics": {name: found for name, (_, found) in lines.items()}
                }
        folder = root / place.lines
        parquet.save_lines(folder / "lines.parquet", rows)
        head: dict[str, Any] = {"task": place.task, "analysis": place.analysis}
        head |= {"round": place.round, "step": place.step, "settings": asked}
        files.save_json(folder / "lines.json", head | {"seeds": facts})


def _plateau(
    height: float, points: int, *, failed: bool
) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    errors = [0.02, *[0.03 + height] * (points - 2), 0.04]
    if failed:
        errors = [np.nan] * points
    rows = [
        {"alpha": n / (points - 1), "error": error, "loss": 10 * error}
        for n, error in enumerate(errors)
    ]
    barrier = None if failed else height
    return rows, {
        "error_barrier": barrier,
        "loss_barrier": None if failed else 10 * height,
        "errors": [errors[0], errors[-1]],
        "stable": None if failed else height < 0.02,
    }


def _line_facts(pair: int, asked: Mapping[str, Any]) -> dict[str, Any]:
    trained = asked["kind"] == "instability"
    overlap = (None, None) if trained else (0.8, 0.6)
    return {
        "distance": 3.0 + pair,
        "distances": {"fc1.weight": 3.0 + pair},
        "sign_changes": 0.25,
        "traveled": [5.0, 6.0] if trained else None,
        "sign_changes_from_start": [0.1, 0.2] if trained else None,
        "mask_overlap": overlap[0],
        "mask_overlap_by_chance": overlap[1],
        "dead_units": [{"fc1.weight": 2, "fc2.weight": 1}, {"fc1.weight": 0}],
        "warnings": ["fc1.weight keeps nothing"] if pair else [],
    }


def kept(round: int) -> dict[str, int]:
    """Kept weights per layer: the golden counts of LeNet-300-100."""
    counts = dict(SIZES)
    for _ in range(round):
        counts = {n: c - round_half_even(RATES[n] * c) for n, c in counts.items()}
    return counts


def round_half_even(value: float) -> int:
    """As the pruning rule counts."""
    return int(np.rint(value))


def _write(
    root: Path, instance: Instance, *, lr: float, salt: str, failed: Collection[int]
) -> None:
    curves: dict[str, list[Any]] = {n: [] for n in parquet.CURVES.names}
    facts = {}
    for seed in instance.seeds:
        points = _curve(instance, seed, salt, failed=seed in failed)
        for name, column in points.items():
            curves[name] += column
        facts[str(seed)] = _facts(instance, seed, points, salt, failed=seed in failed)
    recipe: Mapping[str, Any] = dict.fromkeys(RECIPES["ticket"])
    if instance.variant != DENSE:
        recipe = RECIPES.get(instance.variant, RECIPES["ticket"])
    folder = root / paths.results_folder(instance)
    parquet.save_curves(folder / "curves.parquet", curves)
    result = {
        "task": instance.task,
        "variant": instance.variant,
        "round": instance.round,
        "engine": "reference",
        "settings": {
            "data": "mnist",
            "model": {"name": "lenet-300-100", "init": "glorot-normal"},
            "train": TRAIN | {"lr": lr},
            **recipe,
        },
        "num_prunable": sum(SIZES.values()),
        "num_parameters": sum(SIZES.values()) + 410,
        "sizes": SIZES,
        "seeds": facts,
    }
    files.save_json(folder / "result.json", result)
    minute = 2 * instance.round
    timing = {
        "seeds": {str(s): {"seconds": 12.5, "steps_per_s": 160.0} for s in facts},
        "host": "somewhere",
        "cpu": "some CPU",
        "versions": {"torch": "2.13.0"},
        "started": f"2026-01-02T03:{minute:02d}:00+00:00",
        "ended": f"2026-01-02T03:{minute + 1:02d}:00+00:00",
    }
    files.save_json(root / paths.timing_file(instance), timing)


def _curve(
    instance: Instance, seed: int, salt: str, *, failed: bool
) -> dict[str, list[Any]]:
    """A learning curve on the grid of evaluations, both splits."""
    density = sum(kept(instance.round).values()) / sum(SIZES.values())
    depth = -np.log10(density)
    if instance.variant == "reinit":
        best, speed = 0.980 - 0.012 * depth**1.5, 1 / (1 + 1.6 * depth)
    else:
        hill = np.exp(-(((depth - 0.8) / 0.5) ** 2))
        best, speed = 0.978 + 0.006 * hill - 0.012 * max(depth - 1.5, 0), 1 + 0.7 * hill
    noise = np.random.default_rng([seed, instance.round, len(instance.variant), len(salt)])
    steps = np.arange(0, TRAIN["steps"] + 1, 100)
    rise = 1 - np.exp(-steps * speed / 180)
    accuracy = 0.1 + (best - 0.1 + 0.001 * noise.standard_normal()) * rise
    loss = 2.3 * (1 - rise) + 0.08 + 4e-5 * np.clip(steps * speed - 700, 0, None)
    loss += 0.002 * noise.standard_normal(len(steps))
    accuracy += 0.0007 * noise.standard_normal(len(steps))
    if failed:
        loss[3:], accuracy[3:] = np.nan, 0.1
    both = [("validation", loss, accuracy), ("test", loss + 0.01, accuracy - 0.001)]
    return {
        "seed": [seed] * 2 * len(steps),
        "step": [int(s) for _ in both for s in steps],
        "split": [name for name, _, _ in both for _ in steps],
        "loss": [float(v) for _, values, _ in both for v in values],
        "accuracy": [float(v) for _, _, values in both for v in values],
    }


def _facts(
    instance: Instance,
    seed: int,
    points: Mapping[str, list[Any]],
    salt: str,
    *,
    failed: bool,
) -> dict[str, Any]:
    counts = kept(instance.round)
    known = {
        "density": sum(counts.values()) / sum(SIZES.values()),
        "kept": counts,
        "collapsed": [],
        "steps": TRAIN["steps"],
        "train_loss": None,
        "diverged": failed,
        **{n: f"{n}-{instance.key}-{seed}{salt}" for n in LINE},
    }
    half = len(points["loss"]) // 2
    best = int(np.nanargmin(points["loss"][:half]))
    step = points["step"][best]
    reached = {
        "early_stop_step": step,
        "censored": step >= 0.95 * TRAIN["steps"],
        "validation_loss": points["loss"][best],
        "validation_accuracy": points["accuracy"][best],
        "test_accuracy_early_stop": points["accuracy"][half + best],
        "test_accuracy": points["accuracy"][-1],
        "test_loss": points["loss"][-1],
    }
    return known | reached | ({"test_loss": None} if failed else {})  # JSON has no NaN
