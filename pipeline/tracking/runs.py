"""Create, extend, mend, mark and delete single runs of an MLflow experiment.

People delete runs and tags in MLflow's page, and processes are killed. So nothing is
believed but what is there: a child run is complete if it is finished, and a run's tag
``results`` is written after everything else. The store drops values that are logged
twice, because their timestamps come from the files.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pipeline.tracking import datasets
from pipeline.tracking.formats import NOTE, span
from pipeline.tracking.notes import merged
from pipeline.tracking.round_metrics import MetricValue
from pipeline.tracking.run_contents import ChildContent, RunContent

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

BATCH = 800
"""metrics in one request: with parameters and tags at most 1,000, MLflow's limit"""
PARAMS_BATCH = 100
FINISHED = "FINISHED"
DVC_EXPERIMENT = "dvc_experiment"
"""the tag with the names of the DVC experiments that gave a run's results"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Target:
    """The experiment to write into."""

    client: "MlflowClient"
    experiment_id: str
    source: dict[str, str]
    """tags that say who writes, and from which commit"""
    marks: bool
    """whether the workspace decides the tag ``current``, as temporary ones do not"""
    dvc_experiment: str
    """the name of the DVC experiment that runs; empty outside of one"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Tree:
    """A run with its child runs, as the store has them."""

    run: "Run"
    children: Sequence["Run"]

    @property
    def recorded(self) -> dict[str, str]:
        """Round or place -> digest of the results whose metrics the run has."""
        try:
            found = json.loads(self.run.data.tags["results"])
            return {str(name): str(digest) for name, digest in found.items()}
        except (KeyError, ValueError, AttributeError):
            return {}  # somebody has edited it

    def complete(self, child_tag: str) -> dict[str, "Run"]:
        """Round or place -> its child run, of those that are finished; one of each."""
        found: dict[str, Run] = {}
        for child in self.children:
            name = child.data.tags.get(child_tag)
            if name is not None and child.info.status == FINISHED:
                found.setdefault(name, child)
        return found

    def contradicts(self, content: RunContent) -> bool:
        """Whether the store has other results of the same settings."""
        known = self.recorded | {
            name: child.data.tags["result"]
            for name, child in self.complete(content.child_tag).items()
            if "result" in child.data.tags
        }
        return any(known.get(name, d) != d for name, d in content.digests.items())


def delete(target: Target, tree: Tree) -> None:
    """Delete a run and its children, which MLflow can undo."""
    # The parent is last: if this is killed, the next call finds it and deletes the rest.
    for run in (*tree.children, tree.run):
        target.client.delete_run(run.info.run_id)


def create(target: Target, content: RunContent, position: int) -> Tree:
    """Create a run that has no results yet.

    Trainings of one stage start together, and MLflow shows the latest run first. The
    start is therefore a millisecond earlier per position, in the order of the plan.
    """
    tags = {"kind": content.kind, "key": content.key, "current": "false"}
    run = target.client.create_run(
        target.experiment_id,
        run_name=content.name,
        start_time=content.started - position,
        tags=tags | target.source,
    )
    return Tree(run=run, children=())


def write(target: Target, tree: Tree, content: RunContent) -> set[str]:
    """Make a run and its child runs hold the content; returns the children that are new."""
    complete = tree.complete(content.child_tag)
    untimed = _untimed(complete, content)
    known = {
        name: run
        for name, run in complete.items()
        if name not in content.borrowed and name not in untimed
    }
    for child in tree.children:
        if child not in known.values():
            target.client.delete_run(child.info.run_id)
    new = content.digests.keys() - known.keys() - content.borrowed
    values: list[MetricValue] = []
    for name in content.digests:
        child = content.child(name)
        # Once: the costs of a round are summed over all rounds before it.
        lacks = name in new or name not in tree.recorded
        metrics = child.metrics() if lacks or untimed else ()
        recorded = name in tree.recorded
        values += [m for m in metrics if not recorded or m.name in content.timed]
        values += () if recorded else child.blanks()
        if name in new:
            _create_child(target, tree.run, child, metrics, content)
        elif name in known:
            _mend(target, known[name], child.params, _child_tags(target, child))
            datasets.log(target.client, known[name], content.data)
    for name in known.keys() - content.digests.keys():
        _mark_dropped(target, known[name])
    _complete(target, tree.run, content, values)
    return set(new)


def _untimed(children: Mapping[str, "Run"], content: RunContent) -> set[str]:
    """The children that were written before their timing file was there, which it now is.

    Start and end of a run cannot be changed, so these are made again.
    """
    found = set()
    for name in children.keys() & content.digests.keys():
        lacking = content.timed - children[name].data.metrics.keys()
        if lacking and any(m.name in lacking for m in content.child(name).metrics()):
            found.add(name)
    return found


def _complete(
    target: Target, run: "Run", content: RunContent, values: Sequence[MetricValue]
) -> None:
    """Make a run whole whose child runs are; its tags come after everything else."""
    datasets.log(target.client, run, content.data)
    if values or run.info.status != FINISHED:
        ended = content.child(list(content.digests)[-1]).ended
        target.client.set_terminated(run.info.run_id, FINISHED, end_time=ended)
    _mend(target, run, content.params, _run_tags(target, run, content), values)


def _mark_dropped(target: Target, child: "Run") -> None:
    if target.marks:
        _mend(target, child, {}, {"current": "false"})


def mark_gone(target: Target, tree: Tree, child_tag: str) -> None:
    """Mark a run and its children as results that the workspace no longer holds."""
    gone = {"current": "false"}
    for child in tree.children:
        _mend(target, child, {}, gone)
    _mend(target, tree.run, {}, {**gone, f"current_{child_tag}s": span([])})


def _run_tags(target: Target, run: "Run", content: RunContent) -> dict[str, str]:
    tags = dict(content.tags)
    tags[NOTE] = merged(run.data.tags.get(NOTE, ""), content.note)
    if target.marks:
        held = list(content.digests)
        tags |= {"current": "true", f"current_{content.child_tag}s": span(held)}
    return tags | dvc_experiment_tag(run, target.dvc_experiment)


def dvc_experiment_tag(run: "Run", name: str) -> dict[str, str]:
    """The tag of a run with this DVC experiment beside those before; none without one."""
    if not name:
        return {}
    names = [n for n in run.data.tags.get(DVC_EXPERIMENT, "").split(", ") if n]
    return {DVC_EXPERIMENT: ", ".join(dict.fromkeys([*names, name]))}


def _child_tags(target: Target, child: ChildContent) -> dict[str, str]:
    return {**child.tags, **({"current": "true"} if target.marks else {})}


def _create_child(
    target: Target,
    parent: "Run",
    child: ChildContent,
    metrics: Sequence[MetricValue],
    content: RunContent,
) -> None:
    tags = {"current": "false", **_child_tags(target, child), **target.source}
    run = target.client.create_run(
        target.experiment_id,
        run_name=child.name,
        start_time=child.started,
        tags={**tags, "mlflow.parentRunId": parent.info.run_id},
    )
    _log(target, run, [*metrics, *child.curves()], child.params, {})
    datasets.log(target.client, run, content.data)
    target.client.set_terminated(run.info.run_id, FINISHED, end_time=child.ended)


def _mend(
    target: Target,
    run: "Run",
    params: Mapping[str, str],
    tags: Mapping[str, str],
    values: Sequence[MetricValue] = (),
) -> None:
    """Give a run these metrics, the parameters that it lacks and the tags that differ."""
    known = run.data.params
    lacking = {name: value for name, value in params.items() if name not in known}
    differ = {n: value for n, value in tags.items() if run.data.tags.get(n) != value}
    _log(target, run, values, lacking, differ)


def _log(
    target: Target,
    run: "Run",
    values: Sequence[MetricValue],
    params: Mapping[str, str],
    tags: Mapping[str, str],
) -> None:
    """Log everything in as few requests as MLflow takes; tags last."""
    from mlflow.entities import Metric, Param, RunTag

    metrics = [Metric(v.name, v.value, v.timestamp, v.step) for v in values]
    found = [Param(name, value) for name, value in params.items()]
    run_id = run.info.run_id
    while len(metrics) > BATCH or len(found) > PARAMS_BATCH:
        first, metrics = metrics[:BATCH], metrics[BATCH:]
        some, found = found[:PARAMS_BATCH], found[PARAMS_BATCH:]
        target.client.log_batch(run_id, metrics=first, params=some)
    if metrics or found or tags:
        labels = [RunTag(name, value) for name, value in tags.items()]
        target.client.log_batch(run_id, metrics=metrics, params=found, tags=labels)
