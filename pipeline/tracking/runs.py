"""Create, extend, mark and delete single runs of an MLflow experiment.

A run's tag ``results`` is written after everything else. If the process is killed, the
next one therefore sees which child runs are incomplete. The store drops values that are
logged twice, because their timestamps come from the files.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pipeline.tracking.formats import flag, span
from pipeline.tracking.round_metrics import MetricValue
from pipeline.tracking.run_contents import ChildContent, RunContent
from pipeline.tracking.store import find_runs

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

BATCH = 1000
"""metrics in one request, MLflow's limit"""
PARAMS_BATCH = 100


@dataclass(frozen=True, kw_only=True, slots=True)
class Target:
    """The experiment to write into."""

    client: "MlflowClient"
    experiment_id: str
    source: dict[str, str]
    """tags that say who writes, and from which commit"""


def children(target: Target, run: "Run") -> list["Run"]:
    """ChildContent runs that are not deleted."""
    query = f"tags.`mlflow.parentRunId` = '{run.info.run_id}'"
    return find_runs(target.client, target.experiment_id, query)


def delete(target: Target, run: "Run") -> None:
    """Delete a run and its children, which MLflow can undo."""
    # The parent is last: if this is killed, the next call finds it and deletes the rest.
    for child in children(target, run):
        target.client.delete_run(child.info.run_id)
    target.client.delete_run(run.info.run_id)


def create(target: Target, content: RunContent, position: int) -> "Run":
    """Create a run that has no results yet.

    Trainings of one stage start together, and MLflow shows the latest run first. The
    start is therefore a millisecond earlier per position, in the order of the plan.
    """
    return target.client.create_run(
        target.experiment_id,
        run_name=content.name,
        start_time=content.started - position,
        tags={**content.tags, **target.source},
    )


def append(target: Target, run: "Run", content: RunContent, new: Sequence[str]) -> None:
    """Log new rounds or places to the run, and create a child run of each."""
    from mlflow.entities import Param

    run_id = run.info.run_id
    found = [Param(name, value) for name, value in content.params.items()]
    for start in range(0, len(found), PARAMS_BATCH):
        target.client.log_batch(run_id, params=found[start : start + PARAMS_BATCH])
    children = [content.child(name) for name in new]
    for child in children:
        _log_child(target, run_id, child)
    _log_metrics(target, run_id, [one for child in children for one in child.metrics])
    target.client.set_terminated(run_id, "FINISHED", end_time=children[-1].ended)
    _set_tags(target, run_id, content.growing_tags)


def _log_child(target: Target, parent_id: str, child: ChildContent) -> None:
    run = target.client.create_run(
        target.experiment_id,
        run_name=child.name,
        start_time=child.started,
        tags={**child.tags, **target.source, "mlflow.parentRunId": parent_id},
    )
    _log_metrics(target, run.info.run_id, [*child.metrics, *child.curves])
    target.client.set_terminated(run.info.run_id, "FINISHED", end_time=child.ended)


def _log_metrics(target: Target, run_id: str, values: Sequence[MetricValue]) -> None:
    from mlflow.entities import Metric

    metrics = [Metric(v.name, v.value, v.timestamp, v.step) for v in values]
    for start in range(0, len(metrics), BATCH):
        target.client.log_batch(run_id, metrics=metrics[start : start + BATCH])


def mark_current(target: Target, run: "Run", content: RunContent) -> None:
    """Mark the run, and the children that the workspace holds now, as current."""
    held, shared = list(content.digests), dict(content.shared_tags)
    _mark(target, run, content.child_tag, held, shared)


def mark_gone(target: Target, run: "Run", child_tag: str) -> None:
    """Mark the run and its children as results that the workspace no longer holds."""
    _mark(target, run, child_tag, [], {})


def _mark(
    target: Target,
    run: "Run",
    child_tag: str,
    held: Sequence[str],
    shared_tags: dict[str, str],
) -> None:
    current = {
        "current": flag(bool(held)),
        f"current_{child_tag}s": span(held),
    }
    known = run.data.tags
    if not current.items() <= known.items():
        for child in children(target, run):
            is_held = flag(child.data.tags[child_tag] in held)
            if child.data.tags["current"] != is_held:
                target.client.set_tag(child.info.run_id, "current", is_held)
    tags = current | shared_tags
    if not tags.items() <= known.items():
        _set_tags(target, run.info.run_id, tags)


def _set_tags(target: Target, run_id: str, tags: Mapping[str, str]) -> None:
    from mlflow.entities import RunTag

    target.client.log_batch(run_id, tags=[RunTag(n, v) for n, v in tags.items()])
