"""What a round cost: its own training, and all that had to be trained before it.

Everything is read off the settings and facts of result files, also of those that were
written before costs were counted.
"""

from collections.abc import Callable, Mapping
from functools import cache
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
"""a training step in forward passes: the gradients with respect to activations and to
weights cost as much as the forward pass each"""

Settings = Mapping[str, Any]
"""what stands behind a result, as ``params.behind`` gives it"""
Training = tuple[str, int]
"""variant and round; (DENSE, 0) is the dense network"""


def multiply_adds(settings: Settings, facts: Mapping[str, Any]) -> int:
    """Multiply-adds of one training: 3 × forward pass × batch × steps.

    A kept weight costs one per position and example; pruned weights that are 0, biases,
    norms, the optimizer and evaluations are not counted, whatever the engine computed.
    Where pruned weights are frozen they act, so that all count. A start at
    step k has k steps less. Where the mask changed while it trained (``kept_steps``),
    each step counts with the weights it had.

    Args:
        settings: of the result.
        facts: of one seed.
    """
    data, model = settings["data"], settings["model"]
    network = _network(data, model["name"], tuple(model.get("widths") or ()))
    rewind = settings["rewind"] or {}
    steps = facts["steps"] - (rewind.get("step") or 0)
    sizes = {name: prod(tensor.shape) for name, tensor in kernels(network).items()}
    acting = sizes if rewind.get("pruned", "zero") != "zero" else sizes | facts["kept"]
    kept = {name: steps * count for name, count in acting.items()}
    kept |= facts.get("kept_steps", {})
    forward = totals.multiply_adds(network, FACTS[data].image_shape, kept)
    return FORWARD_AND_BACKWARD * int(settings["train"]["batch_size"]) * forward


def before(
    training: Training, settings_of: Callable[[Training], Settings | None]
) -> list[Training] | None:
    """The trainings that had to happen before a mask and a start existed.

    Where masks are cut from the previous round, for round r the dense network and rounds
    1 … r-1; where from the dense network, that one; where a mask changes while its round
    trains, nothing. A control needs what its ticket needed, and of a mask that changed
    the training itself. A start that looks at trained weights adds theirs; the first
    steps of the dense network count as all of it.

    Args:
        training: which is not counted itself.
        settings_of: the settings behind a training, or None where it has no result.

    Returns:
        In no order; None where a result is missing or comes from other settings.
    """
    found: set[Training] = set()
    waiting = [training]
    own = settings_of(training)
    while waiting:
        one = waiting.pop()
        settings = settings_of(one)
        if own is None or settings is None or not _agree(own, settings):
            return None
        new = _directly_before(one, settings) - found
        found |= new
        waiting += new
    return sorted(found)


def _directly_before(training: Training, settings: Settings) -> set[Training]:
    variant, round = training
    if not round:
        return set()
    prune, start = settings["prune"], STARTS[settings["rewind"]["to"]]
    own = prune["mask"] == OWN
    owner = variant if own else prune["mask"]
    found: set[Training] = set()
    policy = of_recipe((prune if own else settings["mask_source"])["schedule"])
    if policy.cuts:
        found.add(_at(owner, policy.source_round(round)))
    elif not own:
        found.add((owner, round))
    if start.needs_trained == "chain" and policy.reads != "dense":
        found.add(_at(variant, round - 1))
    if start.step == "needed":
        found.add((DENSE, 0))
    return found


def _at(variant: str, round: int) -> Training:
    return (variant if round else DENSE, round)


def _agree(one: Settings, other: Settings) -> bool:
    """Whether two trainings belong to one task, and one mask recipe stands behind them."""
    same = all(one.get(key) == other.get(key) for key in ("data", "model", "train"))
    recipes = [s["mask_source"] or s["prune"] for s in (one, other)]
    return same and (None in recipes or recipes[0] == recipes[1])


@cache
def _network(data: str, model: str, widths: tuple[int, ...]) -> Network:
    facts = FACTS[data]
    return models.build(
        model,
        widths=widths or None,
        image_shape=facts.image_shape,
        num_classes=facts.num_classes,
    )
