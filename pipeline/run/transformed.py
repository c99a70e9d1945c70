"""Make the mask of a round from the mask that another variant has."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.artifacts import files, paths
from pipeline.border import user_code
from pipeline.config.settings import Prune, Settings, Task, build_network
from pipeline.core import seeding, transforms
from pipeline.core.arrays import Mask
from pipeline.core.functions import is_function
from pipeline.core.models.blocks import Blocks
from pipeline.core.transforms.given import Given
from pipeline.plan.items import Item


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
    dense: "Dense | None" = None
    """for transforms that look at dense networks"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Dense:
    """Files of the dense networks of two tasks."""

    data: Path
    """the prepared data set"""
    network: Path
    """folder of those of the start"""
    source: Path
    """folder of those of the mask"""


def source_of(item: Item, settings: Settings) -> Source:
    """Files and recipe as an item of the plan has them; dense networks if it names any."""
    of_task = str(item.fields.get("mask_task", item["task"]))
    dense = None
    if "dense" in item.kind.reads:
        dense = Dense(
            data=item.path("data"),
            network=item.path("dense"),
            source=item.path("dense_source"),
        )
    return Source(
        task=settings.tasks[item["task"]],
        mask_task=settings.tasks[of_task],
        prune=settings.variants[item["variant"]].prune,
        variant=item["variant"],
        round=item.number("round"),
        masks=item.path("source"),
        dense=dense,
    )


def mask(source: Source, seed: int) -> Mask:
    """The mask of one seed.

    Raises:
        ArtifactError: if the mask that is taken is missing or damaged.
    """
    assert source.prune.transform is not None, "the recipe transforms a mask"
    given = Given(
        **_trained(source.dense, seed),
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


def _trained(dense: Dense | None, seed: int) -> dict[str, Any]:
    if dense is None:
        return {}
    return {
        "dense": files.load_arrays(paths.seed_file(dense.network, seed, "weights")),
        "dense_source": files.load_arrays(paths.seed_file(dense.source, seed, "weights")),
        "data": files.load_dataset(dense.data),
    }
