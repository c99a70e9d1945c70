"""Stage ``pooled``: mix the trained networks of several rounds into one.

python -m pipeline.stages.pooled main-pool-r03-s0-3
"""

from pipeline.artifacts import files
from pipeline.config import params
from pipeline.plan import items
from pipeline.run import instances, pools


def run(key: str) -> None:
    """Save weights and mask of each seed, with what joined the pool and at which share."""
    settings = params.load()
    item = items.find("pooled", key, settings)
    source = pools.source_of(item, settings)
    with files.atomic_folder(item.path("pooled")) as folder:
        pools.run(source, item.seeds, folder, at_once=settings.workers)


if __name__ == "__main__":
    instances.run_keyed("pooled", run)
