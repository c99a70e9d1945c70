"""Stage ``prune``: find the mask of a round.

python -m pipeline.stages.prune main-ticket-r03-s0-3
"""

from collections.abc import Iterator

import numpy as np

from pipeline.artifacts import files, paths
from pipeline.config import params
from pipeline.config.settings import Prune, Task, network_for
from pipeline.core import criteria, cuts, masks, seeding, transforms
from pipeline.core.arrays import Mask
from pipeline.core.batches import Batch, shuffled_batches
from pipeline.core.criteria.evidence import Evidence
from pipeline.core.digests import digest
from pipeline.plan import expected, items
from pipeline.plan.items import Item
from pipeline.run import instances


def run(key: str) -> None:
    """Save one mask per seed, with its density."""
    settings = params.load()
    item = items.find("prune", key, settings)
    task = settings.tasks[item["task"]]
    prune = settings.variants[item["variant"]].prune
    with files.atomic_folder(item.path("masks")) as folder:
        for seed in item.seeds:
            if prune.policy.cuts:
                mask = _cut(item, task, prune, seed)
            else:
                mask = _transformed(item, prune, seed)
            path = paths.seed_file(folder, seed)
            files.save_arrays(path, mask, mask=digest(mask), density=masks.density(mask))


def _cut(item: Item, task: Task, prune: Prune, seed: int) -> Mask:
    """Cut the mask of a round from trained weights.

    Masks that are all cut from the dense network come from one ranking, drawn scores
    included.
    """
    round = item.number("round")
    source_round = prune.policy.source_round(round)
    asked = expected.asked(task, prune, round - source_round)
    source = item.path("source")
    before = files.load_mask(source, seed)

    def stream(purpose: str) -> np.random.Generator:
        return seeding.generator(seed, purpose, round=source_round, copy=item["variant"])

    def batches(size: int) -> Iterator[Batch]:
        data = files.load_dataset(item.path("data"))
        return shuffled_batches(data, size, stream("score_batch"))

    looks_at = criteria.CRITERIA[asked.criterion]
    evidence = Evidence(
        network=network_for(task, files.load_facts(item.path("data"))),
        theta0=files.load_weights(item.path("initial"), seed),
        trained=files.load_weights(source, seed) if looks_at.needs_trained else {},
        mask={name: before[name] for name in asked.fractions},
        batches=batches if looks_at.needs_batches else None,
        rng=stream("mask_sample") if looks_at.draws or looks_at.tied else None,
    )
    return cuts.cut(task.program.cut, evidence, asked)


def _transformed(item: Item, prune: Prune, seed: int) -> Mask:
    """Change the mask of the variant that is named."""
    assert prune.transform is not None
    mask = files.load_mask(item.path("source"), seed)
    round = item.number("round")
    rng = seeding.generator(seed, "mask_shuffle", round=round, copy=item["variant"])
    return transforms.transform(prune.transform, mask, rng)


if __name__ == "__main__":
    instances.run_keyed("prune", run)
