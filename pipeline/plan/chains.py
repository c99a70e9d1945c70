"""Name the files that every round of a variant reads, and list all trainings.

A chain is one variant on one task with one seed, over all rounds.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pipeline.artifacts import paths
from pipeline.artifacts.paths import DENSE, Instance
from pipeline.config.mask_from import MaskFrom
from pipeline.config.settings import Settings, Variant
from pipeline.core.starts import STARTS


@dataclass(frozen=True, kw_only=True, slots=True)
class ChainGroup:
    """The chains of one variant on one task, for a group of seeds."""

    task: str
    name: str
    variant: Variant
    owner: Variant
    """the variant whose recipe decides the masks, which is often this one"""
    owner_task: str
    """the task in which that variant finds them, which is almost always this one"""
    seeds: tuple[int, ...]
    start: str
    """of STARTS: what ``rewind.to`` stands for in the task's program"""

    def at(self, round: int) -> Instance:
        """The instance of a round; round 0 is the dense network's."""
        name = self.name if round else DENSE
        return Instance(task=self.task, variant=name, round=round, seeds=self.seeds)

    @property
    def mask_owner(self) -> str:
        """The name of the variant whose recipe decides the masks."""
        owner = self.variant.prune.owner
        return owner.variant if owner else self.name

    def mask_at(self, round: int) -> Path:
        """The folder that has the mask which a round ends with."""
        prune = self.variant.prune
        if prune.pool is not None:
            return paths.pooled_folder(self.at(round))
        if prune.makes_masks and not prune.policy.changes:
            return paths.masks_folder(self.at(round))
        return self._found_at(round)

    def mask_before(self, round: int) -> Path:
        """The folder that decides the mask which a round begins with.

        If a round begins with a mask that keeps everything, θ₀ decides what that is.
        """
        policy = self.variant.prune.policy
        if policy.begins_dense:
            return paths.theta0_folder(self.task, self.seeds)
        return paths.masks_folder(self.at(round)) if policy.changes else self.mask_at(round)

    def mask_source_at(self, round: int) -> Path:
        """The source of a round's mask: trained weights, another mask, or a file."""
        mask = self.variant.prune.mask
        if isinstance(mask, MaskFrom) and mask.file is not None:
            return Path(mask.file_at(round))
        return self.cut_from(round) if self.variant.prune.own else self._found_at(round)

    def cut_from(self, round: int) -> Path:
        """The networks that the masks of a round were cut from.

        They are the mask owner's, and the dense ones in its first round and where it
        prunes in one shot, after some of their steps if it says so; θ₀ if it prunes
        before any training. For masks that are cut, not found while a round trains.
        """
        if not self.owner.prune.policy.looks_at_trained:
            return paths.theta0_folder(self.owner_task, self.seeds)
        if self.owner.prune.step is not None:
            return paths.early_folder(self.owner_task, self.owner.prune.step, self.seeds)
        source = self.owner.prune.policy.source_round(round)
        name = self.mask_owner if source else DENSE
        return paths.trained_folder(
            Instance(task=self.owner_task, variant=name, round=source, seeds=self.seeds)
        )

    @property
    def dense(self) -> Path:
        """The dense networks whose training its rounds begin in, or would have begun in.

        They are those of its own task, unless its start names another one.
        """
        return self._dense(self.variant.rewind.task or self.task)

    @property
    def dense_source(self) -> Path:
        """The dense networks of the task that finds its masks."""
        return self._dense(self.owner_task)

    def _dense(self, task: str) -> Path:
        instance = Instance(task=task, variant=DENSE, round=0, seeds=self.seeds)
        return paths.trained_folder(instance)

    def _found_at(self, round: int) -> Path:
        """The folder with the mask that the mask's owner found for a round.

        One that changed while its round trained lies beside the weights.
        """
        found = self._found(round)
        if self.owner.prune.policy.changes:
            return paths.trained_folder(found)
        return paths.masks_folder(found)

    def _found(self, round: int) -> Instance:
        """The instance of the mask's owner at a round; round 0 is the dense network's."""
        name = self.mask_owner if round else DENSE
        return Instance(task=self.owner_task, variant=name, round=round, seeds=self.seeds)

    def pooled_from(self, round: int, last: int) -> tuple[Instance, Instance]:
        """Which network a pool begins with, and up to which one others may join it.

        Args:
            round: of the pool.
            last: round of the experiment.
        """
        how = self.variant.prune.pool
        assert how is not None, "its networks are pooled"
        if how.of_dense:
            return self._found(0), self._found(round)
        return self._found(round), self._found(last)

    def initial_at(self, round: int) -> Path:
        """The folder of the weights that began the training which a mask is cut from.

        For masks that this variant cuts itself.
        """
        previous = self.variant.prune.policy.source_round(round)
        if previous == 0:
            return paths.theta0_folder(self.task, self.seeds)
        return paths.starts_folder(self.at(previous))

    def weights_behind(self, round: int) -> Path:
        """The folder of weights, beside θ₀, that the start of a round may look at.

        - A start at an early step looks at the dense network's weights at that step.
        - A start that names another task looks at that one's dense network.
        - A round whose own mask changes while it trains has nothing before it but θ₀.
        - A start that goes on from trained weights looks at those of its own chain: of
          the previous round, or of the dense network if masks are cut from that one.
        - A start that is taken from the mask's owner looks at what its round began with.
        - A start made of what the previous round began with looks at that, if the chain
          cuts its own masks, and at θ₀ otherwise.
        - A start that looks at the weights of its mask looks at the pool, if it is pooled.
        - Every other start looks at the weights that the mask was cut from. If the mask
          changed while its round trained, these are the weights trained with it.
        """
        start, named = STARTS[self.start], self.variant.rewind.task
        if start.step == "needed":
            step = self.variant.rewind.step or 0
            return paths.early_folder(named or self.task, step, self.seeds)
        if named is not None:
            return self._dense(named)
        if self.variant.prune.policy.changes:
            return paths.theta0_folder(self.task, self.seeds)
        if start.needs_taken:
            return paths.starts_folder(self._found(round))
        if start.needs_previous_start:
            cuts = self.variant.prune.policy.cuts
            theta0 = paths.theta0_folder(self.task, self.seeds)
            return self.initial_at(round) if cuts else theta0
        if start.needs_trained == "chain":
            previous = self.owner.prune.policy.source_round(round)
            return paths.trained_folder(self.at(previous))
        return self._weights_of_mask(round)

    def _weights_of_mask(self, round: int) -> Path:
        """The folder of the networks whose mask a round has."""
        if self.variant.prune.pool is not None:
            return paths.pooled_folder(self.at(round))
        changed = self.owner.prune.policy.changes
        return self._found_at(round) if changed else self.cut_from(round)


def chain_group(
    settings: Settings, task: str, name: str, seeds: tuple[int, ...]
) -> ChainGroup:
    """One variant on one task for one group of seeds."""
    variant = settings.variants[name]
    owner = variant.prune.owner
    return ChainGroup(
        task=task,
        name=name,
        variant=variant,
        owner=settings.variants[owner.variant] if owner else variant,
        owner_task=owner.task or task if owner else task,
        seeds=seeds,
        start=settings.tasks[task].program.start(variant.rewind.to),
    )


def chain_groups(settings: Settings, groups: list[tuple[int, ...]]) -> Iterator[ChainGroup]:
    """Every chain group of the experiment, in the order of params.yaml."""
    for name, variant in settings.variants.items():
        for task in variant.tasks:
            for seeds in groups:
                yield chain_group(settings, task, name, seeds)


def instances(settings: Settings, groups: list[tuple[int, ...]]) -> Iterator[Instance]:
    """Every training of the experiment: the dense ones, then round by round."""
    for task in settings.tasks:
        for seeds in groups:
            yield Instance(task=task, variant=DENSE, round=0, seeds=seeds)
    for group in chain_groups(settings, groups):
        for round in range(1, settings.rounds + 1):
            yield group.at(round)


def early_steps(settings: Settings, task: str) -> list[int]:
    """The steps of a task's dense training whose weights a round or a copy looks at."""
    rewound = {
        variant.rewind.step or 0
        for variant in settings.variants.values()
        if STARTS[variant.rewind.to].step == "needed"
        and (
            task in variant.tasks
            if variant.rewind.task is None
            else task == variant.rewind.task
        )
    }
    cut = {
        variant.prune.step
        for variant in settings.variants.values()
        if task in variant.tasks and variant.prune.step is not None
    }
    copied = {
        step
        for analysis in settings.analyses.values()
        if task in analysis.tasks
        for step in analysis.steps or ()
    }
    return sorted((rewound | cut | copied) - {0})
