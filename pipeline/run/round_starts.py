"""Read the files from which the start of a round is made."""

from dataclasses import dataclass
from pathlib import Path

from pipeline.artifacts import files
from pipeline.config.settings import Task, Variant, network_for
from pipeline.core.round_starts import Known
from pipeline.core.training.mask_rules import first_mask


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


def read(behind: Behind, task: Task, variant: Variant, seed: int) -> Known:
    """Read all that the start of a round with one seed can be made of.

    Raises:
        ArtifactError: if an earlier stage's file is missing; weights beside θ₀ are read,
            and missed, only when a start looks at them.
    """
    network = network_for(task, files.load_description(behind.data))
    dense = variant.prune.policy.begins_dense
    return Known(
        theta0=files.load_weights(behind.theta0, seed),
        behind=lambda: files.load_weights(behind.weights, seed),
        mask=first_mask(network) if dense else files.load_mask(behind.mask, seed),
        network=network,
        init=task.model.init,
        seed=seed,
        round=behind.round,
    )
