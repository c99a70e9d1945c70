"""Read the files from which the start of a round is made."""

from dataclasses import dataclass
from pathlib import Path

from pipeline.artifacts import files
from pipeline.config.settings import Task, Variant, build_network, network_for
from pipeline.core.arrays import Weights
from pipeline.core.models import blocks
from pipeline.core.models.blocks import Blocks
from pipeline.core.models.layers import Network
from pipeline.core.round_starts import Known
from pipeline.core.starts import STARTS
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
    source: Task | None = None
    """the task of the variant that the mask is taken from, where it is another one"""


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
        behind=lambda: _in(network, behind, task, variant, seed),
        mask=first_mask(network) if dense else files.load_mask(behind.mask, seed),
        network=network,
        init=task.model.init,
        seed=seed,
        round=behind.round,
    )


def _in(
    network: Network, behind: Behind, task: Task, variant: Variant, seed: int
) -> Weights:
    """The weights beside θ₀; those of another network carried over, block by block."""
    weights = files.load_weights(behind.weights, seed)
    start = STARTS[task.program.start(variant.rewind.to)]
    if not (start.needs_taken and variant.prune.maps_blocks):
        return weights
    source = build_network(behind.source or task)
    return blocks.carried(weights, source, network, variant.prune.blocks or Blocks())
