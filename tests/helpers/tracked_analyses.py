"""Tracked lines, barriers and approximations made of numbers."""

from collections.abc import Sequence
from typing import Any

from pipeline.results.tables import Row

INSTABILITY: dict[str, Any] = {
    "task": "main",
    "analysis": "copies",
    "kind": "instability",
    "of": "dense",
    "to": None,
    "round": 0,
    "step": 0,
    "density": 1.0,
}
CONNECTION: dict[str, Any] = {
    "task": "main",
    "analysis": "two-ends",
    "kind": "connection",
    "of": "ticket",
    "to": "reinit",
    "round": 1,
    "step": 0,
    "density": 0.8,
}
APPROXIMATION: dict[str, Any] = {
    "task": "main",
    "approximation": "strong",
    "of": "dense",
    "construction": "direct",
    "epsilon_asked": 0.01,
    "round": 0,
    "density": 1.0,
    "target_accuracy": 0.98,
    "kept_to_target": 5.0,
}
WAYS = ("interpolated",)


def lines(
    place: Row,
    *,
    barrier: float,
    seeds: Sequence[int] = (0, 1),
    ways: Sequence[str] = WAYS,
    points: int = 5,
) -> tuple[Row, ...]:
    """Parabolas: error .02 at the ends; the barrier grows by .01 with the seed."""
    return tuple(
        place
        | {"seed": seed, "pair": 0, "statistics": way, "alpha": alpha, "loss": 0.1}
        | {"error": 0.02 + 4 * (barrier + 0.01 * seed) * alpha * (1 - alpha)}
        for seed in seeds
        for way in ways
        for alpha in (n / (points - 1) for n in range(points))
    )


def barriers(
    place: Row,
    *,
    barrier: float | None,
    seeds: Sequence[int] = (0, 1),
    ways: Sequence[str] = WAYS,
    overlap: float | None = None,
    by_chance: float | None = None,
) -> tuple[Row, ...]:
    """One pair per seed; the barrier grows by .01 with the seed."""
    return tuple(
        place
        | {"seed": seed, "pair": 0, "statistics": way}
        | {"error_barrier": None if barrier is None else barrier + 0.01 * seed}
        | {"mask_overlap": overlap, "mask_overlap_by_chance": by_chance}
        for seed in seeds
        for way in ways
    )


def approximations(
    construction: str = "direct",
    candidates: Sequence[int] = (4, 6, 8),
    seeds: Sequence[int] = (0, 1),
    **facts: object,
) -> list[Row]:
    """Errors fall by half per candidate; the median grows with the seed."""
    return [
        APPROXIMATION
        | {"construction": construction, "candidates": n, "seed": seed}
        | {"error_median": (1 + seed) * 2.0**-n, "error_p99": 2.0 ** (1 - n)}
        | {"epsilon": 2.0 ** (3 - n), "accuracy": 0.98 - 2.0**-n}
        | facts
        for n in candidates
        for seed in seeds
    ]
