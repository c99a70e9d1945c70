"""Make the weights that a round begins with, as ``rewind`` in its recipe says."""

from dataclasses import dataclass
from pathlib import Path

from pipeline.artifacts import files
from pipeline.config.settings import Task, Variant, network_for
from pipeline.core import masks, rewinding, seeding, starts
from pipeline.core.arrays import Mask, Weights
from pipeline.core.models.layers import kernels
from pipeline.core.starts.given import Given


@dataclass(frozen=True, kw_only=True, slots=True)
class Behind:
    """The folders from which the start of a round is made."""

    data: Path
    """the prepared data set"""
    theta0: Path
    mask: Path
    """folder of the masks that the round begins with, unless it begins dense"""
    weights: Path
    """folder of the weights beside θ₀ that a start may look at"""
    round: int


def start_mask(behind: Behind, task: Task, variant: Variant, seed: int) -> Mask:
    """The mask that a round begins with.

    It keeps everything if it changes while the round trains.

    Raises:
        ArtifactError: if the round's mask is missing.
    """
    if not variant.prune.policy.changes:
        return files.load_mask(behind.mask, seed)
    tensors = kernels(network_for(task, files.load_facts(behind.data)))
    return masks.dense(tensors, tensors)


def start_weights(
    behind: Behind, variant: Variant, mask: Mask, source: Weights, seed: int
) -> Weights:
    """The weights that a round starts from.

    Args:
        behind: the files; the recipe may ask for the weights that the mask was cut from.
        variant: whose recipe says what pruned weights are.
        mask: of the round.
        source: its ``source_weights``.
        seed: the replicate.

    Raises:
        ArtifactError: if an earlier stage's weights are missing.
    """
    action = variant.rewind.pruned
    trained: Weights = {}
    if action in rewinding.LOOK_AT_TRAINED:
        trained = files.load_weights(behind.weights, seed)
    return rewinding.frozen_start(
        action,
        source,
        mask,
        theta0=files.load_weights(behind.theta0, seed),
        trained=trained,
    )


def source_weights(
    behind: Behind, task: Task, variant: Variant, mask: Mask, seed: int
) -> Weights:
    """The weights that a round starts from, before its mask.

    Args:
        behind: the files, and the round: draws differ between rounds.
        task: whose model draws fresh weights.
        variant: whose recipe says what to start from.
        mask: of the round.
        seed: the replicate.

    Raises:
        ArtifactError: if an earlier stage's weights are missing.
    """
    rewind, round = variant.rewind, behind.round
    name = task.program.start(rewind.to)
    start = starts.STARTS[name]
    trained: Weights = {}
    if start.needs_trained:
        trained = files.load_weights(behind.weights, seed)
    early: Weights = {}
    if start.step == "needed":
        early = files.load_weights(behind.weights, seed)
    given = Given(
        theta0=files.load_weights(behind.theta0, seed),
        trained=trained,
        early=early,
        mask=mask,
        round=round,
        network=network_for(task, files.load_facts(behind.data)),
        init=task.model.init,
        rng=seeding.generator(seed, "reinit", round=round, copy=rewind.draw or 0),
    )
    return starts.start_source(name, given)
