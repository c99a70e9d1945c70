"""Tracked stores made of functions: what each variant reaches at each density."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from pipeline.results.tables import Row
from pipeline.tracking import TrackedStore

SETTINGS = {
    "data": "mnist",
    "model.name": "lenet-300-100",
    "model.init": "glorot-normal",
    "train.steps": "15000",
    "train.batch_size": "60",
    "train.optimizer": "adam",
    "train.lr": "0.0012",
    "train.momentum": "0.0",
    "train.weight_decay": "0.0",
    "train.schedule.name": "constant",
    "train.schedule.milestones": "[]",
    "train.schedule.warmup_steps": "0",
    "train.augment": "none",
    "train.evaluate_every": "100",
    "train.common_noise": "true",
}
"""of LeNet as Frankle & Carbin train it"""
MASKS = {
    "schedule": "iterative",
    "criterion": "magnitude",
    "scope": "layerwise",
    "fraction.fc": "0.2",
    "fraction.output": "0.1",
}
OWN = {f"prune.{name}": value for name, value in MASKS.items()} | {
    "prune.mask": "own",
    "rewind.pruned": "zero",
}
TAKEN = {f"mask_source.{name}": value for name, value in MASKS.items()} | {
    "prune.mask": "ticket",
    "mask_source.mask": "own",
    "rewind.pruned": "zero",
}
RECIPES: dict[str, dict[str, str]] = {
    "ticket": OWN | {"rewind.to": "theta0"},
    "one-shot": OWN | {"rewind.to": "theta0", "prune.schedule": "one-shot"},
    "reinit": TAKEN | {"rewind.to": "reinit", "rewind.draw": "0"},
    "reinit-2": TAKEN | {"rewind.to": "reinit", "rewind.draw": "1"},
    "random-mask": TAKEN | {"rewind.to": "theta0", "prune.transform": "shuffle"},
}
DENSITIES = (0.8, 0.641, 0.513, 0.411, 0.329, 0.263, 0.211, 0.169, 0.135, 0.108)

Value = Callable[[str, float, int], float | None]
"""variant, density, seed -> value; the dense network is the variant ``dense``"""


def accuracy(variant: str, density: float, seed: int) -> float | None:
    """The dense network reaches 98 %, every variant as much; seeds differ a little."""
    return 0.98 + 0.0001 * ((seed * 7 + round(1000 * density)) % 5)


def step(variant: str, density: float, seed: int) -> float | None:
    """The dense network stops early at step 5,000 or so."""
    return 5000 + 100 * (seed % 3) if variant == "dense" else 3000 + 100 * (seed % 2)


def store(
    *,
    variants: Sequence[str] = ("ticket", "reinit"),
    seeds: Sequence[int] = range(8),
    densities: Sequence[float] = DENSITIES,
    accuracy: Value = accuracy,
    step: Value = step,
    settings: Mapping[str, str] = SETTINGS,
    recipes: Mapping[str, Mapping[str, str]] = RECIPES,
    experiment: str = "toy",
    **facts: object,
) -> TrackedStore:
    """One task, ``main``; ``facts`` replace those of every row."""
    rows = [
        _row(variant, number, density, seed, accuracy, step) | facts
        for variant in variants
        for seed in seeds
        for number, density in enumerate((1.0, *densities))
    ]
    return TrackedStore(
        experiment=experiment,
        rounds=tuple(rows),
        layers=(),
        curves=(),
        settings={("main", v): dict(settings) | dict(recipes[v]) for v in variants},
    )


def with_barriers(
    tracked: TrackedStore,
    value: Callable[[int, int], float | None],
    *,
    of: str = "dense",
    pairs: int = 2,
    points: int = 30,
    statistics: Sequence[str] = ("interpolated",),
    **place: object,
) -> TrackedStore:
    """A store with an instability analysis of its seeds, ``stable``, beside its rounds.

    Args:
        tracked: what it is added to.
        value: seed, pair -> error barrier.
        of: a variant or ``dense``.
        pairs: per seed.
        points: on each line.
        statistics: the kinds there are; all have the same barrier.
        place: what replaces round 0, step 0, density 1 and the kind of the analysis.
    """
    name = f"stable-{len(tracked.analyses)}"
    known = SETTINGS if of == "dense" else tracked.settings["main", of]
    rows = [
        {
            "task": "main",
            "analysis": name,
            "kind": "instability",
            "of": of,
            "to": None,
            "round": 0,
            "step": 0,
            "density": 1.0,
            "seed": seed,
            "pair": pair,
            "statistics": kind,
            "error_barrier": value(seed, pair),
        }
        | place
        for seed in sorted({row["seed"] for row in tracked.rounds})
        for pair in range(pairs)
        for kind in statistics
    ]
    settings = {**known, "analysis.points": str(points)}
    return replace(
        tracked,
        barriers=(*tracked.barriers, *rows),
        analyses={**tracked.analyses, ("main", name): settings},
    )


def _row(
    variant: str, number: int, density: float, seed: int, accuracy: Value, step: Value
) -> Row:
    trained = variant if number else "dense"
    reached = accuracy(trained, density, seed)
    stopped = None if reached is None else step(trained, density, seed)
    return {
        "task": "main",
        "variant": variant,
        "seed": seed,
        "round": number,
        "density": density,
        "kept": round(266200 * density),
        "prunable": 266200,
        "test_accuracy": reached,
        "test_accuracy_early_stop": reached,
        "early_stop_step": stopped,
        "censored": stopped is not None and stopped >= 14250,
        "steps": 500 if reached is None else 15000,  # a diverged training stops there
        "diverged": reached is None,
    }
