"""Make the mask of a round from the mask that another variant has."""

from dataclasses import dataclass
from pathlib import Path

from pipeline.artifacts import files
from pipeline.border import user_code
from pipeline.config.settings import Prune, Task, build_network
from pipeline.core import seeding, transforms
from pipeline.core.arrays import Mask
from pipeline.core.functions import is_function
from pipeline.core.models.blocks import Blocks
from pipeline.core.transforms.given import Given


@dataclass(frozen=True, kw_only=True, slots=True)
class Source:
    """Files and recipe of a round's transformed masks."""

    task: Task
    mask_task: Task
    """the task whose masks are taken"""
    prune: Prune
    variant: str
    round: int
    masks: Path
    """folder of the masks that are taken"""


def mask(source: Source, seed: int) -> Mask:
    """The mask of one seed.

    Raises:
        ArtifactError: if the mask that is taken is missing or damaged.
    """
    assert source.prune.transform is not None, "the recipe transforms a mask"
    given = Given(
        mask=files.load_mask(source.masks, seed),
        source=build_network(source.mask_task),
        network=build_network(source.task),
        blocks=source.prune.blocks or Blocks(),
        rng=seeding.generator(
            seed, "mask_shuffle", round=source.round, copy=source.variant
        ),
    )
    name = source.prune.transform
    with user_code.blamed(name if is_function(name) else None):
        return transforms.transform(name, given)
