"""The runs of one experiment: made, extended, marked and deleted, one by one.

A run's tag ``results`` is written after everything else of a part, so that a killed
projection is taken up where it was; points logged twice are dropped by the store,
because their timestamps come from the files.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pipeline.tracking import words
from pipeline.tracking.points import Point
from pipeline.tracking.store import find_runs
from pipeline.tracking.subjects import Child, Subject

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


def create(target: Target, subject: Subject, position: int) -> "Run":
    """Make the run of a subject, still without results.

    Trainings of one stage started together; MLflow shows the latest first, so a
    millisecond per position puts them in the plan's order.
    """
    return target.client.create_run(
        target.experiment_id,
        run_name=subject.name,
        start_time=subject.started - position,
        tags={**subject.tags, **target.source},
    )


def append(target: Target, run: "Run", subject: Subject, new: Sequence[str]) -> None:
    """Log parts that the run does not have, each with its child run."""
    from mlflow.entities import Param

    run_id = run.info.run_id
    found = [Param(name, value) for name, value in subject.params.items()]
    for start in range(0, len(found), PARAMS_BATCH):
        target.client.log_batch(run_id, params=found[start : start + PARAMS_BATCH])
    children = [subject.child(part) for part in new]
    for child in children:
        _log_child(target, run_id, child)
    _log_points(target, run_id, [point for child in children for point in child.facts])
    target.client.set_terminated(run_id, "FINISHED", end_time=children[-1].ended)
    _set_tags(target, run_id, subject.grown)


def _log_child(target: Target, parent_id: str, child: Child) -> None:
    run = target.client.create_run(
        target.experiment_id,
        run_name=child.name,
        start_time=child.started,
        tags={**child.tags, **target.source, "mlflow.parentRunId": parent_id},
    )
    _log_points(target, run.info.run_id, [*child.facts, *child.curves])
    target.client.set_terminated(run.info.run_id, "FINISHED", end_time=child.ended)


def _log_points(target: Target, run_id: str, found: Sequence[Point]) -> None:
    from mlflow.entities import Metric

    metrics = [Metric(p.name, p.value, p.timestamp, p.step) for p in found]
    for start in range(0, len(metrics), BATCH):
        target.client.log_batch(run_id, metrics=metrics[start : start + BATCH])


def mark_current(target: Target, run: "Run", subject: Subject) -> None:
    """Say on the run and its children what the workspace holds now."""
    _mark(target, run, subject.part, list(subject.digests), dict(subject.marks))


def mark_gone(target: Target, run: "Run", part: str) -> None:
    """Say on the run and its children that the workspace does not hold it now."""
    _mark(target, run, part, [], {})


def _mark(
    target: Target, run: "Run", part: str, held: Sequence[str], marks: dict[str, str]
) -> None:
    current = {
        "current": words.flag(bool(held)),
        f"current_{part}s": words.span(held),
    }
    known = run.data.tags
    if not current.items() <= known.items():
        for child in children(target, run):
            is_held = words.flag(child.data.tags[part] in held)
            if child.data.tags["current"] != is_held:
                target.client.set_tag(child.info.run_id, "current", is_held)
    tags = current | marks
    if not tags.items() <= known.items():
        _set_tags(target, run.info.run_id, tags)


def _set_tags(target: Target, run_id: str, tags: Mapping[str, str]) -> None:
    from mlflow.entities import RunTag

    target.client.log_batch(run_id, tags=[RunTag(n, v) for n, v in tags.items()])
