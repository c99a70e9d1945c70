"""Stage ``given``: read a mask from the user's file, check it, and save it for each seed.

python -m pipeline.stages.given main-fixed-r03-s0-3
"""

from pathlib import Path
from typing import Any

from pipeline.artifacts import files, paths
from pipeline.config import params
from pipeline.config.settings import Settings, network_for
from pipeline.core import masks
from pipeline.core.arrays import Mask
from pipeline.core.digests import digest
from pipeline.data import mask_files
from pipeline.plan import items
from pipeline.plan.items import Item
from pipeline.run import instances


def run(key: str) -> None:
    """Save the same mask for every seed, with its density."""
    settings = params.load()
    item = items.find("given", key, settings)
    with files.atomic_folder(item.path("masks")) as folder:
        for seed in item.seeds:
            arrays, facts = made(item, settings, seed)
            files.save_arrays(paths.seed_file(folder, seed), arrays, **facts)


def made(
    item: Item,
    settings: Settings,
    seed: int,  # noqa: ARG001 - every seed has the same mask
) -> tuple[Mask, dict[str, Any]]:
    """The mask of one seed, and the facts beside it."""
    task = settings.tasks[item["task"]]
    network = network_for(task, files.load_description(item.path("data")))
    mask = mask_files.read(item["raw"], network, Path())
    return mask, {"mask": digest(mask), "density": masks.density(mask)}


if __name__ == "__main__":
    instances.run_keyed("given", run)
