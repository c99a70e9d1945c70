"""The runs of one experiment: made, extended, marked and deleted, one by one.

A run's tag ``results`` is written after everything else of a round, so that a killed
projection is taken up where it was; points logged twice are dropped by the store,
because their timestamps come from the files.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.tables import Record
from pipeline.tracking import points, words
from pipeline.tracking.chains import Chain
from pipeline.tracking.points import Point
from pipeline.tracking.store import find_runs

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

BATCH = 1000
"""metrics in one request, MLflow's limit"""
PARAMS_BATCH = 100


@dataclass(frozen=True, kw_only=True, slots=True)
class Target:
    """Where a projection goes."""

    client: "MlflowClient"
    experiment_id: str
    root: Path
    source: dict[str, str]
    """tags of who projects, and from which commit"""


def children(target: Target, run: "Run") -> list["Run"]:
    """Child runs that are not deleted."""
    query = f"tags.`mlflow.parentRunId` = '{run.info.run_id}'"
    return find_runs(target.client, target.experiment_id, query)


def delete(target: Target, run: "Run") -> None:
    """Delete a run and its children, which MLflow can undo."""
    # The parent last: until then the next projection finds it and deletes the rest.
    for child in children(target, run):
        target.client.delete_run(child.info.run_id)
    target.client.delete_run(run.info.run_id)


def create(target: Target, chain: Chain, position: int) -> "Run":
    """Make the run of a chain, still without results.

    Chains of one stage started together; MLflow shows the latest first, so a
    millisecond per position puts them in the plan's order.
    """
    return target.client.create_run(
        target.experiment_id,
        run_name=chain.name,
        start_time=points.clock(target.root, chain.rounds[0]).started - position,
        tags=words.chain_tags(chain) | target.source,
    )


def append(target: Target, run: "Run", chain: Chain, new: Sequence[Record]) -> None:
    """Log rounds that the run does not have, each with its child run."""
    from mlflow.entities import Param

    run_id = run.info.run_id
    settings = words.params(chain.rounds[1].settings)
    found = [Param(name, value) for name, value in settings.items()]
    for start in range(0, len(found), PARAMS_BATCH):
        target.client.log_batch(run_id, params=found[start : start + PARAMS_BATCH])
    facts: list[Point] = []
    for record in new:
        facts += _log_round(target, run_id, f"{chain.name}-r{record.round:02d}", record)
    _log_points(target, run_id, facts)
    ended = points.clock(target.root, new[-1]).ended
    target.client.set_terminated(run_id, "FINISHED", end_time=ended)
    _set_tags(target, run_id, words.grown_tags(chain))


def _log_round(target: Target, parent_id: str, name: str, record: Record) -> list[Point]:
    """Make the child run of a round; its facts are for the parent as well."""
    clock = points.clock(target.root, record)
    facts = points.facts(record, clock)
    tags = words.round_tags(record, clock.timing) | target.source
    child = target.client.create_run(
        target.experiment_id,
        run_name=name,
        start_time=clock.started,
        tags=tags | {"mlflow.parentRunId": parent_id},
    )
    _log_points(target, child.info.run_id, facts + points.curves(record, clock))
    target.client.set_terminated(child.info.run_id, "FINISHED", end_time=clock.ended)
    return facts


def _log_points(target: Target, run_id: str, found: Sequence[Point]) -> None:
    from mlflow.entities import Metric

    metrics = [Metric(p.name, p.value, p.timestamp, p.step) for p in found]
    for start in range(0, len(metrics), BATCH):
        target.client.log_batch(run_id, metrics=metrics[start : start + BATCH])


def mark_current(target: Target, run: "Run", rounds: Sequence[int]) -> None:
    """Say on the run and its children which rounds the workspace holds now."""
    tags = {
        "current": "true" if rounds else "false",
        "current_rounds": words.round_span(rounds),
    }
    if tags.items() <= run.data.tags.items():
        return
    for child in children(target, run):
        held = "true" if int(child.data.tags["round"]) in rounds else "false"
        if child.data.tags["current"] != held:
            target.client.set_tag(child.info.run_id, "current", held)
    _set_tags(target, run.info.run_id, tags)


def _set_tags(target: Target, run_id: str, tags: dict[str, str]) -> None:
    from mlflow.entities import RunTag

    target.client.log_batch(run_id, tags=[RunTag(n, v) for n, v in tags.items()])
