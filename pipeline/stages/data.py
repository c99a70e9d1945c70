"""Stage ``data``: read a raw data set, split it, and save it as one file.

python -m pipeline.stages.data mnist
"""

import os
from pathlib import Path

from pipeline.artifacts import files
from pipeline.border import account
from pipeline.border import root as repository
from pipeline.config import params
from pipeline.config.settings import Settings
from pipeline.core.batches import Dataset
from pipeline.data import raw
from pipeline.plan import items
from pipeline.plan.items import Item
from pipeline.run import instances


def run(key: str) -> None:
    """Read, check and save the data set; needs no raw data once it is in the cache."""
    settings = params.load()
    item = items.find("data", key, settings)
    files.save_dataset(item.path("data"), made(item, settings))


def made(item: Item, settings: Settings) -> Dataset:
    """The data set, split."""
    access = settings.data
    root = account.expanded(os.environ.get("LT_DATA_ROOT") or access.root)
    if not root.is_absolute():
        root = repository.enclosing(Path.cwd()) / root
    return raw.read(item.key, root=root, download=access.download)


if __name__ == "__main__":
    instances.run_keyed("data", run)
