"""Mix the networks of several rounds into one, one seed per worker process."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.artifacts import files, paths
from pipeline.config.settings import Prune, Settings, Task, network_for
from pipeline.core import data_orders, masks, pools
from pipeline.core.arrays import Mask, Weights
from pipeline.core.batches import BatchOrder
from pipeline.core.digests import digest
from pipeline.core.pools import Pool, Pooling
from pipeline.plan import expected
from pipeline.plan.items import Item
from pipeline.run.executors import cores, preloads, processes
from pipeline.run.executors.processes import Tell


@dataclass(frozen=True, kw_only=True, slots=True)
class Source:
    """Files and recipe of the pools of a round."""

    task: Task
    owner: Prune
    """how the variant is pruned whose networks are mixed"""
    how: Pooling
    round: int
    data: Path
    """the prepared data set"""
    begun: Path
    """folder of the networks that the pools begin with"""
    networks: Path
    """file with the digests of those that may join"""

    @property
    def first(self) -> int:
        """The round that the pool begins with."""
        return 0 if self.how.of_dense else self.round

    @property
    def together(self) -> list[str]:
        """The tensors whose weights are ranked together."""
        if self.owner.scope != "global":
            return []
        found = expected.fractions(self.task, self.owner)
        return [name for name, fraction in found.items() if fraction]


@dataclass(frozen=True, kw_only=True, slots=True)
class SeedWork:
    """The work of one worker: the pool of one seed."""

    source: Source
    seed: int
    folder: Path
    """that its files go into"""

    def run(
        self,
        report: Tell,  # noqa: ARG002 - every piece of work takes it
        stop: Callable[[], bool],
    ) -> None:
        """Save the pool, with the facts about it beside its mask."""
        import torch

        torch.set_num_threads(1)
        made = pool(self.source, self.seed, processes.ending(stop))
        save(made, self.folder, self.seed)


def source_of(item: Item, settings: Settings) -> Source:
    """Files and recipe as an item of the plan has them."""
    how = settings.variants[item["variant"]].prune.pool
    assert how is not None, "its networks are pooled"
    return Source(
        task=settings.tasks[item["task"]],
        owner=settings.variants[item["mask_owner"]].prune,
        how=how,
        round=item.number("round"),
        data=item.path("data"),
        begun=item.path("trained"),
        networks=item.path("networks"),
    )


def run(source: Source, seeds: Sequence[int], folder: Path, *, at_once: int | None) -> None:
    """Make the pools of these seeds.

    Args:
        source: of the pools.
        seeds: of the networks.
        folder: that the files go into.
        at_once: pools side by side; None = as many as cores.
    """
    processes.run_all(
        [SeedWork(source=source, seed=seed, folder=folder) for seed in seeds],
        at_once=at_once or cores.available_cores(),
        preload=preloads.FORWARD,
        watch=lambda _: None,
    )


def save(made: Pool, folder: Path, seed: int) -> None:
    """Write the files of one seed."""
    files.save_arrays(paths.seed_file(folder, seed, "weights"), made.weights)
    files.save_arrays(paths.seed_file(folder, seed, "mask"), made.mask, **facts(made))


def facts(made: Pool) -> dict[str, Any]:
    """The facts beside the mask of a pool."""
    return {
        "mask": digest(made.mask),
        "density": masks.density(made.mask),
        "pool": made.facts,
    }


def pool(source: Source, seed: int, pause: Callable[[], None] = lambda: None) -> Pool:
    """The pool of one seed.

    Args:
        source: of the pools.
        seed: of the networks.
        pause: called before each evaluation; may raise to end the work.

    Raises:
        ArtifactError: if a network is missing, or is another one than was noted.
    """
    from pipeline.core.analysis.evaluation import evaluator, recalibrator

    data = files.load_dataset(source.data)
    network = network_for(source.task, data.description)
    evaluate = evaluator(network, data, data.validation)

    def accuracy(weights: Weights) -> float:
        pause()
        return evaluate(weights).accuracy

    batches = source.how.recalibration_batches
    recalibrate: Callable[[Weights], Weights] = lambda weights: weights  # noqa: E731
    if batches is not None:
        order = BatchOrder(
            len(data.train),
            source.task.train.batch_size,
            seed=seed,
            round=source.round,
            copy=data_orders.RECALIBRATION,
        )
        recalibrate = recalibrator(network, data, order.indices(0, batches))
    begun = begun_with(source, seed)
    return pools.pooled(
        begun,
        list(others(source, seed)),
        source.how.shares,
        pools.counts_of(begun[1], source.together),
        accuracy=accuracy,
        recalibrate=recalibrate,
    )


def begun_with(source: Source, seed: int) -> tuple[Weights, Mask]:
    """The network that a pool begins with."""
    return files.load_weights(source.begun, seed), files.load_mask(source.begun, seed)


def others(source: Source, seed: int) -> Iterator[tuple[int, Weights]]:
    """The networks that may join a pool, in the order in which they are tried.

    Raises:
        ArtifactError: if one is another than was noted.
    """
    noted = {one["round"]: one for one in files.load_json(source.networks)}
    for round in pools.nearest_first(source.first, noted):
        folder = Path(noted[round]["folder"])
        weights = files.load_weights(folder, seed)
        if digest(weights) != noted[round]["seeds"][str(seed)]:
            path = paths.seed_file(folder, seed, "weights")
            raise files.damaged(path, f"other weights than {source.networks} notes")
        yield round, weights
