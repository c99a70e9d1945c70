"""Result files -> MLflow: one run per chain, one child run per round.

So it is with analyses: one run per task, analysis and seed, one child run per place.
MLflow is a view of the result files and can be rebuilt from them. A run is found
again by its key: what it is, and a digest of the settings behind it. So results
of earlier settings stay beside the new ones; the tag ``current`` says which of them the
workspace holds now. Projecting the same files again changes nothing. Fewer rounds than
before delete nothing either: the run keeps them all, and the child runs of rounds that
the plan has dropped are no longer ``current``.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.plan.places import Place
from pipeline.results.tables import Active, records
from pipeline.tracking import runs, words
from pipeline.tracking.chains import chains_of
from pipeline.tracking.runs import Target
from pipeline.tracking.store import (
    find_runs,
    locked,
    opened,
    store_uri,
    without_password,
)
from pipeline.tracking.studies import studies_of
from pipeline.tracking.subjects import Subject, of_chain, of_study
from pipeline.tracking.winners import winning_tags

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run


@dataclass(frozen=True, kw_only=True, slots=True)
class TrackReport:
    """What a projection did, as names of runs."""

    uri: str
    created: tuple[str, ...]
    appended: tuple[str, ...]
    untouched: tuple[str, ...]
    deleted: tuple[str, ...]
    """runs whose settings now give other results; each is in ``created`` as well"""

    def __str__(self) -> str:
        """One line for the terminal."""
        return (
            f"tracked in {self.uri}: {len(self.created)} new, {len(self.appended)} "
            f"longer, {len(self.untouched)} unchanged, {len(self.deleted)} replaced"
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class _Family:
    """Runs of one kind."""

    kind: str
    part: str
    """the tag of their child runs"""
    subjects: Sequence[Subject]


def track(
    root: Path,
    experiment: str,
    uri: str | None,
    active: Active,
    places: Iterable[Place] = (),
) -> TrackReport:
    """Project the plan's results into MLflow.

    Args:
        root: the folder with ``artifacts``.
        experiment: name of the MLflow experiment, made if there is none.
        uri: the store; None = MLFLOW_TRACKING_URI, else mlflow.db in the repository.
        active: tasks, variants, rounds and seeds of the plan.
        places: where its analyses look, each with all seeds.

    Returns:
        What was done. A variant is tracked as soon as its round 1 is there, a
        dense network without variants as soon as it is trained.

    Raises:
        TrackingError: the store cannot be used.
        ArtifactError: a result is unreadable.
    """
    uri = store_uri(root, uri)
    chains = chains_of(records(root, active))
    studies = studies_of(root, places)
    tags = words.experiment_tags(experiment, chains, studies)
    marks = winning_tags(chains)
    families = (
        _Family(
            kind="chain",
            part="round",
            subjects=[of_chain(root, one, marks.get(one.key, {})) for one in chains],
        ),
        _Family(
            kind="analysis",
            part="place",
            subjects=[of_study(root, one) for one in studies],
        ),
    )
    done: dict[str, list[str]] = {
        "created": [],
        "appended": [],
        "untouched": [],
        "deleted": [],
    }
    with locked(root), opened(uri) as client:
        target = Target(
            client=client,
            experiment_id=_experiment(client, experiment, tags),
            source=words.source_tags(root),
        )
        for family in families:
            _project_all(target, family, done)
    names = {what: tuple(names) for what, names in done.items()}
    return TrackReport(uri=without_password(uri), **names)


def _project_all(target: Target, family: _Family, done: dict[str, list[str]]) -> None:
    known = _runs_by_key(target, family.kind)
    for position, subject in enumerate(family.subjects):
        run = known.pop(subject.key, None)
        if run and _contradicts(run, subject):
            runs.delete(target, run)
            done["deleted"].append(subject.name)
            run = None
        done[_project(target, run, subject, position)].append(subject.name)
    for run in known.values():
        runs.mark_gone(target, run, family.part)


def _experiment(client: "MlflowClient", name: str, tags: Mapping[str, str]) -> str:
    found = client.get_experiment_by_name(name)
    if found and found.lifecycle_stage == "deleted":
        client.restore_experiment(found.experiment_id)
    number: str = found.experiment_id if found else client.create_experiment(name)
    known = found.tags if found else {}
    for key, value in tags.items():
        if known.get(key) != value:
            client.set_experiment_tag(number, key, value)
    return number


def _runs_by_key(target: Target, kind: str) -> dict[str, "Run"]:
    found: dict[str, Run] = {}
    for run in find_runs(target.client, target.experiment_id, f"tags.kind = '{kind}'"):
        if found.setdefault(run.data.tags["key"], run) is not run:
            runs.delete(target, run)  # two machines projected the same results at once
    return found


def _contradicts(run: "Run", subject: Subject) -> bool:
    recorded = _recorded(run)
    return any(recorded.get(n, digest) != digest for n, digest in subject.digests.items())


def _recorded(run: "Run") -> dict[str, str]:
    """Part -> digest of the results that are in the run, written after them."""
    recorded: dict[str, str] = json.loads(run.data.tags["results"])
    return recorded


def _project(target: Target, run: "Run | None", subject: Subject, position: int) -> str:
    """Make the run hold the subject; returns its field of the report."""
    recorded = _recorded(run) if run else {}
    new = [part for part in subject.digests if part not in recorded]
    if run is None:
        run = runs.create(target, subject, position)
    elif new:
        for child in runs.children(target, run):
            if child.data.tags[subject.part] not in recorded:
                runs.delete(target, child)  # left by a killed projection
    if new:
        runs.append(target, run, subject, new)
    runs.mark_current(target, run, subject)
    if not new:
        return "untouched"
    return "appended" if recorded else "created"
