"""Count the cost of a round: its own training, and all trainings before it.

Costs are computed from the settings and facts in result files. They are therefore known
for results of earlier versions too, which did not count them. Passes that score weights
before a training, as those of SNIP, GraSP and SynFlow, belong to no training and are not
counted.
"""

from collections.abc import Callable, Mapping
from functools import cache
from itertools import count, takewhile
from math import prod
from typing import Any

from pipeline.artifacts.paths import DENSE
from pipeline.config.settings import OWN
from pipeline.core import models
from pipeline.core.models import totals
from pipeline.core.models.layers import Network, kernels
from pipeline.core.policies import of_recipe
from pipeline.core.starts import STARTS
from pipeline.data.facts import FACTS

FORWARD_AND_BACKWARD = 3
"""cost of a training step in forward passes: the gradients with respect to activations and
those with respect to weights cost one forward pass each"""

Recorded = Mapping[str, Any]
"""all settings behind a result, as ``params.behind`` gives them"""
Training = tuple[str, int]
"""variant and round; (DENSE, 0) is the dense network"""


def multiply_adds(settings: Recorded, facts: Mapping[str, Any]) -> int:
    """Multiply-adds of one training: 3 × forward pass × batch × steps.

    A kept weight costs one multiply-add per position and example. Pruned weights that
    are 0, biases, norms, the optimizer, evaluations and passes that score weights before
    the training do not count, whatever the engine computed. Frozen pruned weights act in
    the network and count. A training that starts at step k has k steps less. If the mask
    changed during the training (``kept_steps``), each step counts the weights that it had;
    where it changed by gradients (``gradient_looks``), so does the pass that computes
    them, for pruned weights too. Where scores train, the gradients with respect to weights
    count for all of them, because pruned weights' scores need theirs too.

    Args:
        settings: of the result.
        facts: of one seed in result.json.
    """
    positions, sizes = _applied(settings, facts)
    rewind = settings["rewind"] or {}
    steps = facts["steps"] - _first_step(rewind)
    acting = sizes if rewind.get("pruned", "zero") != "zero" else sizes | facts["kept"]
    kept = {name: steps * count for name, count in acting.items()}
    kept |= facts.get("kept_steps", {})
    passes = {name: FORWARD_AND_BACKWARD * number for name, number in kept.items()}
    if looks := facts.get("gradient_looks", 0):
        for name, number in kept.items():
            asked = sizes[name] if name in facts["kept_steps"] else 0
            passes[name] += looks * ((FORWARD_AND_BACKWARD - 1) * number // steps + asked)
    if "scores" in facts:  # every score has a gradient, also those of pruned weights
        for name, number in facts["kept_steps"].items():
            passes[name] = (FORWARD_AND_BACKWARD - 1) * number + steps * sizes[name]
    total: int = sum(passes[name] * number for name, number in positions.items())
    return int(settings["train"]["batch_size"]) * total


def before(
    training: Training, settings_of: Callable[[Training], Recorded | None]
) -> list[Training] | None:
    """The trainings that had to happen before a round had its mask and its start.

    If masks are cut from the previous round, round r needs the dense network and rounds 1
    to r-1; if they are cut from the dense network, it needs that one; if they are cut from
    θ₀, or the mask changes while the round trains, it needs nothing. A control needs the
    trainings that its ticket needed, and the ticket's own training if the mask changed in
    it. A pool needs every round that may join it. A start that is made from trained weights
    adds their training. The first steps of
    the dense network count as its whole training.

    Args:
        training: of the round; it is not counted.
        settings_of: gives the settings behind a training, or None if it has no result.

    Returns:
        In no particular order; None if a result is missing or has other settings, or if
        masks come from a file or from another task.
    """
    found: set[Training] = set()
    waiting = [training]
    own = settings_of(training)
    while waiting:
        one = waiting.pop()
        settings = settings_of(one)
        if own is None or settings is None or not _agree(own, settings):
            return None
        behind = _directly_before(one, settings)
        if behind is not None and settings["prune"] and "pool" in settings["prune"]:
            behind |= _pooled(one, settings, settings_of)
        if behind is None:
            return None
        new = behind - found
        found |= new
        waiting += new
    return sorted(found)


def _first_step(rewind: Mapping[str, Any]) -> int:
    """The step at which a recorded start begins; a user's may be gone."""
    start = STARTS.get(rewind.get("to", ""))
    return 0 if start and start.from_beginning else rewind.get("step") or 0


def _directly_before(training: Training, settings: Recorded) -> set[Training] | None:
    """None where mask or start come from a file or another task: costs are not known.

    The same holds where a start of the user's is no longer there.
    """
    variant, round = training
    if not round:
        return set()
    prune, start = settings["prune"], STARTS.get(settings["rewind"]["to"])
    if not isinstance(prune["mask"], str) or start is None or "task" in settings["rewind"]:
        return None
    own = prune["mask"] == OWN
    owner = variant if own else prune["mask"]
    found: set[Training] = set()
    policy = of_recipe((prune if own else settings["mask_source"])["schedule"])
    if policy.looks_at_trained:
        found.add(_at(owner, policy.source_round(round)))
    if not own and policy.changes:
        found.add((owner, round))
    if start.needs_trained == "chain" and not policy.at_once:
        found.add(_at(variant, round - 1))
    if start.step == "needed":
        found.add((DENSE, 0))
    return found


def _pooled(
    training: Training,
    settings: Recorded,
    settings_of: Callable[[Training], Recorded | None],
) -> set[Training]:
    """The trainings whose networks may be in a pool: those that have a result."""
    prune, (_, round) = settings["prune"], training
    rounds = takewhile(lambda r: settings_of((prune["mask"], r)) is not None, count(1))
    if prune["pool"].get("begins_with") == "dense":
        rounds = takewhile(lambda r: r <= round, rounds)
    return {(DENSE, 0), *((prune["mask"], r) for r in rounds)}


def _at(variant: str, round: int) -> Training:
    return (variant if round else DENSE, round)


def _agree(one: Recorded, other: Recorded) -> bool:
    """Whether two trainings have the same task and the same recipe for masks."""
    same = all(one.get(key) == other.get(key) for key in ("data", "model", "train"))
    recipes = [
        {name: value for name, value in recipe.items() if name != "rewind"}
        if (recipe := s["mask_source"] or s["prune"])
        else None
        for s in (one, other)
    ]
    return same and (None in recipes or recipes[0] == recipes[1])


def _applied(
    settings: Recorded, facts: Mapping[str, Any]
) -> tuple[Mapping[str, int], dict[str, int]]:
    """By kernel: at how many positions of an example it is applied, and its weights.

    Results of the user's own networks and data have this beside them.
    """
    if "positions" in facts:
        return facts["positions"], dict(facts["sizes"])
    data, model = settings["data"], settings["model"]
    network = _network(data, model["name"], tuple(model.get("widths") or ()))
    found = totals.positions(network, FACTS[data].description)
    return found, {name: prod(tensor.shape) for name, tensor in kernels(network).items()}


@cache
def _network(data: str, model: str, widths: tuple[int, ...]) -> Network:
    return models.build(model, widths=widths or None, data=FACTS[data].description)
