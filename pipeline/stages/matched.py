"""Stage ``matched``: put another task's mask into the order of a network's own units.

python -m pipeline.stages.matched other-permuted-r03-s0-3
"""

from typing import Any

from pipeline.artifacts import files, paths
from pipeline.config import params
from pipeline.config.settings import Settings
from pipeline.core import masks
from pipeline.core.arrays import Mask
from pipeline.core.digests import digest
from pipeline.plan import items
from pipeline.plan.items import Item
from pipeline.run import instances, transformed


def run(key: str) -> None:
    """Save one mask per seed, with its density."""
    settings = params.load()
    item = items.find("matched", key, settings)
    with files.atomic_folder(item.path("masks")) as folder:
        for seed in item.seeds:
            arrays, facts = made(item, settings, seed)
            files.save_arrays(paths.seed_file(folder, seed), arrays, **facts)


def made(item: Item, settings: Settings, seed: int) -> tuple[Mask, dict[str, Any]]:
    """The mask of one seed, and the facts beside it."""
    mask = transformed.mask(transformed.source_of(item, settings), seed)
    return mask, {"mask": digest(mask), "density": masks.density(mask)}


if __name__ == "__main__":
    instances.run_keyed("matched", run)
