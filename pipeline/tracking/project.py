"""Result files -> MLflow: one run per chain, one child run per round.

MLflow is a view of the result files and can be rebuilt from them. A chain's run is
found again by its key: what it is, and a digest of the settings behind it. So results
of earlier settings stay beside the new ones; the tag ``current`` says which of them the
workspace holds now. Projecting the same files again changes nothing. Fewer rounds than
before delete nothing either: the run keeps them all, and the child runs of rounds that
the plan has dropped are no longer ``current``.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.tables import Active, records
from pipeline.tracking import runs, words
from pipeline.tracking.chains import Chain, chains_of
from pipeline.tracking.runs import Target
from pipeline.tracking.store import (
    find_runs,
    locked,
    opened,
    store_uri,
    without_password,
)

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


def track(root: Path, experiment: str, uri: str | None, active: Active) -> TrackReport:
    """Project the plan's results into MLflow.

    Args:
        root: the folder with ``artifacts``.
        experiment: name of the MLflow experiment, made if there is none.
        uri: the store; None = MLFLOW_TRACKING_URI, else mlflow.db in the repository.
        active: tasks, variants, rounds and seeds of the plan.

    Returns:
        What was done. A chain is tracked as soon as its round 1 is there.

    Raises:
        TrackingError: the store cannot be used.
        ArtifactError: a result is unreadable.
    """
    uri = store_uri(root, uri)
    chains = chains_of(records(root, active))
    done: dict[str, list[str]] = {
        "created": [],
        "appended": [],
        "untouched": [],
        "deleted": [],
    }
    with locked(root), opened(uri) as client:
        target = Target(
            client=client,
            experiment_id=_experiment(client, experiment, chains),
            root=root,
            source=words.source_tags(root),
        )
        known = _runs_by_key(target)
        for position, chain in enumerate(chains):
            run = known.pop(chain.key, None)
            if run and _contradicts(run, chain):
                runs.delete(target, run)
                done["deleted"].append(chain.name)
                run = None
            done[_project(target, run, chain, position)].append(chain.name)
        for run in known.values():
            runs.mark_current(target, run, rounds=[])
    names = {what: tuple(names) for what, names in done.items()}
    return TrackReport(uri=without_password(uri), **names)


def _experiment(client: "MlflowClient", name: str, chains: Sequence[Chain]) -> str:
    found = client.get_experiment_by_name(name)
    if found and found.lifecycle_stage == "deleted":
        client.restore_experiment(found.experiment_id)
    number: str = found.experiment_id if found else client.create_experiment(name)
    known = found.tags if found else {}
    for key, value in words.experiment_tags(name, chains).items():
        if known.get(key) != value:
            client.set_experiment_tag(number, key, value)
    return number


def _runs_by_key(target: Target) -> dict[str, "Run"]:
    found: dict[str, Run] = {}
    for run in find_runs(target.client, target.experiment_id, "tags.kind = 'chain'"):
        if found.setdefault(run.data.tags["key"], run) is not run:
            runs.delete(target, run)  # two machines projected the same results at once
    return found


def _contradicts(run: "Run", chain: Chain) -> bool:
    recorded = _recorded(run)
    return any(recorded.get(n, digest) != digest for n, digest in chain.digests.items())


def _recorded(run: "Run") -> dict[int, str]:
    """Round -> digest of the results that are in the run, written after them."""
    return {int(n): d for n, d in json.loads(run.data.tags["results"]).items()}


def _project(target: Target, run: "Run | None", chain: Chain, position: int) -> str:
    """Make the run hold the chain; returns its field of the report."""
    recorded = _recorded(run) if run else {}
    new = [record for record in chain.rounds if record.round not in recorded]
    if run is None:
        run = runs.create(target, chain, position)
    elif new:
        for child in runs.children(target, run):
            if int(child.data.tags["round"]) not in recorded:
                runs.delete(target, child)  # left by a killed projection
    if new:
        runs.append(target, run, chain, new)
    runs.mark_current(target, run, rounds=[record.round for record in chain.rounds])
    if not new:
        return "untouched"
    return "appended" if recorded else "created"
