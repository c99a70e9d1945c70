"""Stage ``given``: read a mask from the user's file, check it, and save it for each seed.

python -m pipeline.stages.given main-fixed-r03-s0-3
"""

from pathlib import Path

from pipeline.artifacts import files, paths
from pipeline.config import params
from pipeline.config.settings import network_for
from pipeline.core import masks
from pipeline.core.digests import digest
from pipeline.data import mask_files
from pipeline.plan import items
from pipeline.run import instances


def run(key: str) -> None:
    """Save the same mask for every seed, with its density."""
    settings = params.load()
    item = items.find("given", key, settings)
    task = settings.tasks[item["task"]]
    network = network_for(task, files.load_description(item.path("data")))
    mask = mask_files.read(item["raw"], network, Path())
    with files.atomic_folder(item.path("masks")) as folder:
        for seed in item.seeds:
            path = paths.seed_file(folder, seed)
            files.save_arrays(path, mask, mask=digest(mask), density=masks.density(mask))


if __name__ == "__main__":
    instances.run_keyed("given", run)
