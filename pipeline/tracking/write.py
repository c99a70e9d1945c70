"""Write results into an MLflow store, and keep the results of earlier settings.

A run is found again by its key, which ends with a digest of the settings. Results of
earlier settings therefore stay beside the new ones, and the tag ``current`` says which
of them the workspace holds now. Writing the same results again changes nothing. When the
plan drops rounds, their child runs stay and are no longer ``current``.
"""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.border.redaction import redacted
from pipeline.core.looks import DEFAULT, Looks
from pipeline.plan.places import Place
from pipeline.results.tables import Active, round_results
from pipeline.tracking import runs
from pipeline.tracking.addresses import TrackingError, store_uri
from pipeline.tracking.analyses import tracked_analyses
from pipeline.tracking.chains import chains_of
from pipeline.tracking.experiment_tags import experiment_tags
from pipeline.tracking.looks import TAG as LOOKS
from pipeline.tracking.looks import looks_tag
from pipeline.tracking.run_contents import RunContent, of_analysis, of_chain
from pipeline.tracking.runs import Target
from pipeline.tracking.source_tags import source_tags
from pipeline.tracking.store import find_runs, locked, opened
from pipeline.tracking.winning_tags import winning_tags

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run


@dataclass(frozen=True, kw_only=True, slots=True)
class TrackReport:
    """The names of the runs that were created, changed, left alone and deleted."""

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
class _Kind:
    """All runs of one kind."""

    name: str
    """value of the tag ``kind``"""
    child_tag: str
    contents: Sequence[RunContent]


def track(
    root: Path,
    experiment: str,
    uri: str | None,
    active: Active,
    places: Iterable[Place] = (),
    *,
    looks: Looks = DEFAULT,
) -> TrackReport:
    """Write the results of the plan into MLflow.

    A variant is written as soon as its round 1 has a result, a dense network without
    variants as soon as it has one.

    Args:
        root: the folder with ``artifacts``.
        experiment: name of the MLflow experiment, created if it does not exist.
        uri: the store; None = MLFLOW_TRACKING_URI, else mlflow.db in the repository.
        active: tasks, variants, rounds and seeds of the plan.
        places: of the plan's analyses, each with all seeds.
        looks: at which numbers of seeds the experiment is judged, as declared.

    Raises:
        TrackingError: the store cannot be used.
        ArtifactError: a result is unreadable.
    """
    uri = store_uri(root, uri)
    chains = chains_of(round_results(root, active))
    analyses = tracked_analyses(root, places)
    tags = experiment_tags(experiment, chains, analyses)
    winning = winning_tags(chains, looks)
    declared = partial(
        looks_tag, looks=looks, num_seeds=len({chain.first.seed for chain in chains})
    )
    kinds = (
        _Kind(
            name="chain",
            child_tag="round",
            contents=[of_chain(root, one, winning.get(one.key, {})) for one in chains],
        ),
        _Kind(
            name="analysis",
            child_tag="place",
            contents=[of_analysis(root, one) for one in analyses],
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
            experiment_id=_experiment(client, experiment, tags, declared),
            source=source_tags(root),
        )
        for kind in kinds:
            _write_all(target, kind, done)
    names = {outcome: tuple(names) for outcome, names in done.items()}
    return TrackReport(uri=redacted(uri), **names)


def _write_all(target: Target, kind: _Kind, done: dict[str, list[str]]) -> None:
    known = _runs_by_key(target, kind.name)
    for position, content in enumerate(kind.contents):
        run = known.pop(content.key, None)
        if run and _contradicts(run, content):
            runs.delete(target, run)
            done["deleted"].append(content.name)
            run = None
        done[_write(target, run, content, position)].append(content.name)
    for run in known.values():
        runs.mark_gone(target, run, kind.child_tag)


def _experiment(
    client: "MlflowClient",
    name: str,
    tags: Mapping[str, str],
    declared: Callable[[Mapping[str, str]], str],
) -> str:
    found = client.get_experiment_by_name(name)
    if found and found.lifecycle_stage == "deleted":
        client.restore_experiment(found.experiment_id)
    number: str = found.experiment_id if found else client.create_experiment(name)
    if not number:
        raise TrackingError(
            "what answers at the store's address is no MLflow server: it gives an "
            "experiment no number; check MLFLOW_TRACKING_URI, or --uri"
        )
    known = found.tags if found else {}
    for key, value in {**tags, LOOKS: declared(known)}.items():
        if known.get(key) != value:
            client.set_experiment_tag(number, key, value)
    return number


def _runs_by_key(target: Target, kind: str) -> dict[str, "Run"]:
    found: dict[str, Run] = {}
    for run in find_runs(target.client, target.experiment_id, f"tags.kind = '{kind}'"):
        if found.setdefault(run.data.tags["key"], run) is not run:
            runs.delete(target, run)  # two machines wrote the same results at once
    return found


def _contradicts(run: "Run", content: RunContent) -> bool:
    recorded = _recorded(run)
    return any(recorded.get(n, digest) != digest for n, digest in content.digests.items())


def _recorded(run: "Run") -> dict[str, str]:
    """Round or place -> digest of its results, of those that the run holds completely."""
    recorded: dict[str, str] = json.loads(run.data.tags["results"])
    return recorded


def _write(target: Target, run: "Run | None", content: RunContent, position: int) -> str:
    """Make the run hold the content; returns the field of the report that names it."""
    recorded = _recorded(run) if run else {}
    new = [child for child in content.digests if child not in recorded]
    if run is None:
        run = runs.create(target, content, position)
    elif new:
        for child in runs.children(target, run):
            if child.data.tags[content.child_tag] not in recorded:
                runs.delete(target, child)  # a killed process left it incomplete
    if new:
        runs.append(target, run, content, new)
    runs.mark_current(target, run, content)
    if not new:
        return "untouched"
    return "appended" if recorded else "created"
