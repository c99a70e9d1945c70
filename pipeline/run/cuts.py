"""Cut the mask of a round from the networks that its policy looks at."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np

from pipeline.artifacts import files
from pipeline.border import user_code
from pipeline.config.settings import Prune, Task, network_for
from pipeline.core import criteria, cuts, seeding
from pipeline.core.arrays import Mask
from pipeline.core.batches import Batch, Dataset, shuffled_batches
from pipeline.core.criteria.evidence import Evidence
from pipeline.core.functions import is_function
from pipeline.core.training.mask_rules import first_mask
from pipeline.plan import expected


@dataclass(frozen=True, kw_only=True, slots=True)
class Source:
    """Files and recipe of a round's masks."""

    task: Task
    prune: Prune
    variant: str
    round: int
    data: Path
    """the prepared data set"""
    initial: Path
    """folder of the weights before the training that is looked at"""
    networks: Path
    """folder of the networks that are cut: trained ones with their masks, the dense ones
    after some steps, or θ₀"""


def mask(source: Source, seed: int) -> Mask:
    """The mask of one seed.

    Masks that are all cut from the dense network, or from θ₀, come from one ranking, drawn
    scores included.

    Raises:
        ArtifactError: if a file is missing or damaged.
    """
    task, policy = source.task, source.prune.policy
    source_round = policy.source_round(source.round)
    asked = expected.asked(task, source.prune, source.round - source_round)
    description = files.load_description(source.data)
    network = network_for(task, description)
    looks_at = criteria.CRITERIA[asked.criterion]

    def stream(purpose: str) -> np.random.Generator:
        return seeding.generator(seed, purpose, round=source_round, copy=source.variant)

    @cache
    def data() -> Dataset:
        return files.load_dataset(source.data)

    def batches(size: int) -> Iterator[Batch]:
        return shuffled_batches(data(), size, stream("score_batch"))

    if policy.looks_at_trained and source.prune.step is None:
        before = files.load_mask(source.networks, seed)
    else:
        before = first_mask(network)
    evidence = Evidence(
        network=network,
        data=description,
        begun=files.load_weights(source.initial, seed),
        trained=files.load_weights(source.networks, seed) if looks_at.needs_trained else {},
        mask={name: before[name] for name in asked.fractions},
        batches=batches if looks_at.needs_batches else None,
        rng=stream("mask_sample") if looks_at.draws or looks_at.tied else None,
    )
    name = criteria.cut_of(asked.criterion, task.program.cut)
    with user_code.blamed(asked.criterion if is_function(asked.criterion) else None):
        return cuts.cut(name, evidence, asked)
