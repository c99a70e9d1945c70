"""Approximate trained networks, one seed per worker process."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.artifacts import files, paths
from pipeline.config.approximation import Approximation
from pipeline.config.settings import Task, network_for
from pipeline.core import constructions, seeding
from pipeline.core.arrays import Weights
from pipeline.core.batches import Dataset
from pipeline.core.digests import digest
from pipeline.run.executors import cores, preloads, processes
from pipeline.run.executors.processes import Tell


@dataclass(frozen=True, kw_only=True, slots=True)
class Asked:
    """One approximation at one round."""

    task: Task
    approximation: Approximation
    name: str
    """of the approximation; with seed and round it says which random network is drawn"""
    round: int
    data: Path
    """the prepared data set"""
    target: Path
    """folder of the trained networks"""


@dataclass(frozen=True, kw_only=True, slots=True)
class SeedWork:
    """The work of one worker: approximate the network of one seed."""

    asked: Asked
    seed: int
    folder: Path
    """that its file goes into"""

    def run(
        self,
        report: Tell,  # noqa: ARG002 - every piece of work takes it
        stop: Callable[[], bool],
    ) -> None:
        """Save the subsets, with the facts about them beside."""
        import torch

        torch.set_num_threads(1)
        subsets, facts = approximated(
            self.asked,
            self.seed,
            files.load_weights(self.asked.target, self.seed),
            files.load_dataset(self.asked.data),
            processes.ending(stop),
        )
        files.save_arrays(paths.seed_file(self.folder, self.seed), subsets, **facts)


def approximated(
    asked: Asked,
    seed: int,
    weights: Weights,
    data: Dataset,
    pause: Callable[[], None] = lambda: None,
) -> tuple[dict[str, Any], dict[str, Any]]:
    """The subsets of candidates that approximate a network, and the facts about them.

    Args:
        asked: which approximation.
        seed: of the network.
        weights: of the network.
        data: the prepared data set.
        pause: called between pieces of work; may raise to end it.

    Raises:
        ValueError: if the network cannot be approximated.
    """
    from pipeline.core.analysis import approximation

    how = asked.approximation
    network = network_for(asked.task, data.description)
    target = approximation.target_of(network, weights, data)
    rng = seeding.generator(seed, "init", round=asked.round, copy=f"random/{asked.name}")
    built = constructions.build(how.construction, target, how.candidates, rng, pause)
    facts = approximation.facts(target, built, data, epsilon=how.epsilon)
    subsets = dict(approximation.subsets_of(built))
    return subsets, facts | {"target": digest(weights), "subsets": digest(subsets)}


def run(
    asked: Asked, seeds: Sequence[int], folder: Path, *, at_once: int | None
) -> dict[int, dict[str, Any]]:
    """Approximate the networks of these seeds.

    Args:
        asked: which approximation.
        seeds: of the networks.
        folder: that a file per seed goes into.
        at_once: networks side by side; None = as many as cores.

    Returns:
        Seed -> the facts.
    """
    processes.run_all(
        [SeedWork(asked=asked, seed=seed, folder=folder) for seed in seeds],
        at_once=at_once or cores.available_cores(),
        preload=preloads.FORWARD,
        watch=lambda _: None,
    )
    return {seed: files.load_facts(paths.seed_file(folder, seed)) for seed in seeds}
