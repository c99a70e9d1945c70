"""Stage ``own``: read, check and split a data set of the user's; save it as one file.

python -m pipeline.stages.own flowers
"""

from pathlib import Path

from pipeline.artifacts import files
from pipeline.config import params
from pipeline.config.settings import Settings
from pipeline.core.batches import Dataset
from pipeline.data.own import read
from pipeline.plan import items
from pipeline.plan.items import Item
from pipeline.run import instances


def run(key: str) -> None:
    """Read, check and save the data set."""
    settings = params.load()
    item = items.find("own", key, settings)
    files.save_dataset(item.path("data"), made(item, settings))


def made(item: Item, settings: Settings) -> Dataset:
    """The data set, split."""
    return read.read(item.key, settings.datasets[item.key], Path())


if __name__ == "__main__":
    instances.run_keyed("own", run)
