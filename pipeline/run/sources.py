"""The files and settings that the trainings of one stage instance need."""

import json
from dataclasses import dataclass
from pathlib import Path

from pipeline import engines
from pipeline.artifacts import files, paths
from pipeline.config.settings import Task, network_for
from pipeline.core.batches import Dataset
from pipeline.core.models.layers import Network
from pipeline.core.training.engine import Job
from pipeline.core.training.mask_rules import MaskRule, first_mask
from pipeline.core.training.score_rules import ScoreRule
from pipeline.run import checkpoints, finished, machines
from pipeline.run.kept.numerics import Canary


@dataclass(frozen=True, kw_only=True, slots=True)
class Source:
    """Files and settings of trainings; picklable, so that workers read for themselves."""

    label: str
    """its name on the screen and among the checkpoints"""
    seeds: tuple[int, ...]
    task: Task
    data: Path
    """the prepared data set"""
    engine: str
    metric: str
    """of METRICS: what a result calls the test accuracy"""
    starts: Path
    masks: Path | None
    """folder of the masks; None = trainings begin with masks that keep everything"""
    round: int
    """chooses the data order"""
    copies: tuple[int | str, ...] = (0,)
    """data orders of the round; every seed is trained once with each"""
    first_step: int = 0
    last_step: int | None = None
    """None = with the schedule"""
    rule: MaskRule | None = None
    """how its mask changes while it trains"""
    rule_origin: str | None = None
    """what a function of the user's made the rule from; None = the rule is built in"""
    score_rule: ScoreRule | None = None
    """how scores, which train in place of its weights, make the network"""

    @property
    def key(self) -> str:
        """Its name among the checkpoints."""
        return paths.short(self.label.replace("/", "-"))

    def network(self) -> Network:
        """The task's network, for the images of the prepared data."""
        return network_for(self.task, files.load_description(self.data))

    @property
    def parts(self) -> tuple[str, ...]:
        """The arrays that a training leaves."""
        return ("weights", "mask", *(("scores",) if self.score_rule else ()))

    def job(self, data: Dataset, network: Network, seed: int, copy: int | str) -> Job:
        """One of its trainings, as engines take it."""
        if self.masks is None:
            mask = first_mask(network, self.score_rule or self.rule)
        else:
            mask = files.load_mask(self.masks, seed)
        return Job(
            network=network,
            start=files.load_weights(self.starts, seed),
            mask=mask,
            data=data,
            settings=self.task.train,
            seed=seed,
            round=self.round,
            copy=copy,
            first_step=self.first_step,
            last_step=self.last_step,
            rule=self.rule,
            score_rule=self.score_rule,
        )

    def label_of(self, copy: int | str) -> str:
        """The name of a copy on the screen; empty if there is only one."""
        return str(copy) if len(self.copies) > 1 else ""

    def canary(self, job: Job) -> Canary:
        """A small training, whose bits tell which machines compute this unit alike."""
        digest = files.load_facts(self.data)["digest"]
        return Canary(engine=self.engine, job=job, data=digest)

    def name(self, jobs: list[Job]) -> str:
        """A digest of what decides the trainings of a unit, but for the machine."""
        noted = [self.metric, self.task.is_own, finished.code(), machines.versions()]
        return checkpoints.unit_digest(
            jobs,
            engine=self.engine,
            data=files.load_facts(self.data)["digest"],
            host=json.dumps(noted),
            rule_origin=self.rule_origin,
        )

    @property
    def units(self) -> list[tuple[int, ...]]:
        """The seeds that are trained together, each by one worker."""
        batched = engines.ENGINES[self.engine].several_jobs
        return [self.seeds] if batched else [(seed,) for seed in self.seeds]
