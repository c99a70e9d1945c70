"""Stage ``prune``: find the mask of a round.

python -m pipeline.stages.prune main-ticket-r03-s0-3
"""

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
    task = settings.tasks[item["task"]]
    prune = settings.variants[item["variant"]].prune
    source = cuts.Source(
        task=task,
        prune=prune,
        variant=item["variant"],
        round=item.number("round"),
        data=item.path("data"),
        initial=item.path("initial"),
        networks=item.path("source"),
    )
    with files.atomic_folder(item.path("masks")) as folder:
        for seed in item.seeds:
            if prune.policy.cuts:
                mask = cuts.mask(source, seed)
            else:
                mask = _transformed(item, settings, seed)
            path = paths.seed_file(folder, seed)
            files.save_arrays(path, mask, mask=digest(mask), density=masks.density(mask))


def _transformed(item: Item, settings: Settings, seed: int) -> Mask:
    """Change the mask of the variant that is named."""
    of_task = str(item.fields.get("mask_task", item["task"]))
    source = transformed.Source(
        task=settings.tasks[item["task"]],
        mask_task=settings.tasks[of_task],
        prune=settings.variants[item["variant"]].prune,
        variant=item["variant"],
        round=item.number("round"),
        masks=item.path("source"),
    )
    return transformed.mask(source, seed)


if __name__ == "__main__":
    instances.run_keyed("prune", run)
