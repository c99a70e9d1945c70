"""Stage ``prune``: find the mask of a round.

python -m pipeline.stages.prune main-ticket-r03-s0-3
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
from pipeline.run import cuts, instances, transformed


def run(key: str) -> None:
    """Save one mask per seed, with its density."""
    settings = params.load()
    item = items.find("prune", key, settings)
    with files.atomic_folder(item.path("masks")) as folder:
        for seed in item.seeds:
            arrays, facts = made(item, settings, seed)
            files.save_arrays(paths.seed_file(folder, seed), arrays, **facts)


def made(item: Item, settings: Settings, seed: int) -> tuple[Mask, dict[str, Any]]:
    """The mask of one seed, and the facts beside it."""
    prune = settings.variants[item["variant"]].prune
    if prune.policy.cuts:
        mask = _cut(item, settings, seed)
    else:
        mask = transformed.mask(transformed.source_of(item, settings), seed)
    return mask, {"mask": digest(mask), "density": masks.density(mask)}


def _cut(item: Item, settings: Settings, seed: int) -> Mask:
    source = cuts.Source(
        task=settings.tasks[item["task"]],
        prune=settings.variants[item["variant"]].prune,
        variant=item["variant"],
        round=item.number("round"),
        data=item.path("data"),
        initial=item.path("initial"),
        networks=item.path("source"),
    )
    return cuts.mask(source, seed)


if __name__ == "__main__":
    instances.run_keyed("prune", run)
