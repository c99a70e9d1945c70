"""Say what every stage of a plan trains: how many networks, and how dense they are."""

from dataclasses import dataclass
from functools import cache

from pipeline.artifacts.paths import DENSE
from pipeline.config.settings import Settings
from pipeline.core import data_orders
from pipeline.core.transforms import TRANSFORMS
from pipeline.plan import expected
from pipeline.plan.items import Plan, items_of


def densities_of(settings: Settings, task: str, variant: str) -> list[float]:
    """The density of each round 0 … rounds, by the integer recursion of pruning.

    With ``compat`` thresholds decide, and trainings; this is then close to what they do.
    """
    prune = settings.variants[variant].prune
    if prune.transform is not None and TRANSFORMS[prune.transform].keeps_all:
        return [1.0] * (settings.rounds + 1)
    if prune.pool is not None and prune.pool.of_dense:
        return [1.0] * (settings.rounds + 1)
    if prune.owner is not None:
        return densities_of(settings, prune.owner.task or task, prune.owner.variant)
    if prune.kept is not None:
        totals = [sum(kept.values()) for kept in prune.kept]
        return [total / totals[0] for total in totals]
    return expected.densities(settings.tasks[task], prune, settings.rounds)


@dataclass(frozen=True, kw_only=True, slots=True)
class Trained:
    """The part of an experiment that a stage instance trains."""

    variant: str
    """whose round it is, or is like; DENSE likewise"""
    density: float
    """of its networks, as ``densities_of`` has it"""
    number: int
    """of trainings"""


def by_stage(settings: Settings, plan: Plan) -> dict[str, Trained]:
    """The trainings of every stage that trains, in the order of the plan."""

    @cache
    def densities(task: str, variant: str) -> list[float]:
        if variant == DENSE:
            return [1.0] * (settings.rounds + 1)
        return densities_of(settings, task, variant)

    found = {}
    for item in items_of(plan):
        if item.kind.trains is None:
            continue
        analysis = settings.analyses.get(str(item.fields.get("analysis")))
        variant = analysis.of if analysis else str(item.fields.get("variant", DENSE))
        copies = len(data_orders.of_copies(analysis.pairs or 0)) if analysis else 1
        found[item.stage] = Trained(
            variant=variant,
            density=densities(item["task"], variant)[int(item.fields.get("round", 0))],
            number=len(item.seeds) * copies,
        )
    return found
