"""Write results into an MLflow store, and keep the results of earlier settings.

A run is found again by its key, which ends with a digest of the settings. Results of
earlier settings therefore stay beside the new ones. Writing looks at what is there, makes
again what lacks, and changes nothing where nothing lacks. When the plan drops rounds,
their child runs stay.

The tag ``current`` is for people in MLflow's page: it marks what the workspace held that
wrote last. Temporary workspaces of ``dvc exp run`` leave it alone.
"""

import json
import os
from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.border.redaction import redacted
from pipeline.border.root import enclosing
from pipeline.config.settings import Settings
from pipeline.core.looks import DEFAULT, Looks
from pipeline.plan import compiler
from pipeline.plan.places import Place
from pipeline.plan.places import places as places_of
from pipeline.plan.targets import TargetPlace, target_places
from pipeline.results.tables import Active, round_results
from pipeline.tracking import dvc_hashes, experiments, runs
from pipeline.tracking.addresses import WEB, TrackingError, sqlite_file, store_uri
from pipeline.tracking.analyses import tracked_analyses
from pipeline.tracking.approximation_runs import of_approximation
from pipeline.tracking.approximations import tracked_approximations
from pipeline.tracking.chains import chains_of
from pipeline.tracking.experiment_tags import experiment_tags
from pipeline.tracking.kinds import CHILDREN
from pipeline.tracking.looks import TAG as LOOKS
from pipeline.tracking.looks import declared_looks, looks_tag
from pipeline.tracking.run_contents import RunContent, of_analysis, of_chain
from pipeline.tracking.runs import Target, Tree
from pipeline.tracking.source_tags import source_tags
from pipeline.tracking.store import find_runs, is_there, locked, opened
from pipeline.tracking.winning_tags import UNTRAINED, untrained_tasks, winning_tags

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

SUMMARY = "summary"
"""kind of the run that ``summary`` writes"""
PARENT = "mlflow.parentRunId"


@dataclass(frozen=True, kw_only=True, slots=True)
class TrackReport:
    """The names of the runs that were created, changed, left alone and deleted."""

    uri: str
    view: str
    """the address of the comparison in MLflow's page"""
    created: tuple[str, ...]
    appended: tuple[str, ...]
    mended: tuple[str, ...]
    """runs whose child runs somebody had deleted"""
    untouched: tuple[str, ...]
    deleted: tuple[str, ...]
    """runs whose settings now give other results; each is in ``created`` as well"""
    untrained: frozenset[str]
    """tasks whose dense network did not train, as the winning tags have it"""

    def __str__(self) -> str:
        """Two lines for the terminal: what was done, and where to look at it."""
        mended = f", {len(self.mended)} mended" if self.mended else ""
        served = self.uri.partition("://")[0] in WEB
        where = self.view if served else f"start `mlflow ui`, then open {self.view}"
        return (
            f"tracked in {self.uri}: {len(self.created)} new, {len(self.appended)} "
            f"longer, {len(self.untouched)} unchanged, {len(self.deleted)} replaced"
            f"{mended}\ncompare: {where}"
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class Asked:
    """The part of a workspace that is to be written."""

    experiment: str
    active: Active
    places: Sequence[Place]
    targets: Sequence[TargetPlace]
    looks: Looks


def asked_by(settings: Settings) -> Asked:
    """Everything that the settings of a workspace ask for."""
    return Asked(
        experiment=settings.experiment,
        active=compiler.active(settings),
        places=tuple(places_of(settings, [settings.seeds])),
        targets=tuple(target_places(settings, [settings.seeds])),
        looks=settings.declared_looks,
    )


def track(
    root: Path,
    experiment: str,
    uri: str | None,
    active: Active,
    places: Iterable[Place] = (),
    *,
    targets: Iterable[TargetPlace] = (),
) -> TrackReport:
    """Write the results of the plan into MLflow.

    A variant is written as soon as its round 1 has a result, a dense network as soon as
    it has one.

    Args:
        root: the folder with ``artifacts``.
        experiment: name of the MLflow experiment, created if it does not exist.
        uri: the store; None = MLFLOW_TRACKING_URI, else mlflow.db in the repository.
        active: tasks, variants, rounds and seeds of the plan.
        places: of the plan's analyses, each with all seeds.
        targets: of the plan's approximations, likewise.

    Raises:
        TrackingError: the store cannot be used, or there is nothing to write into a new
            one.
        ArtifactError: a result is unreadable.
    """
    asked = Asked(
        experiment=experiment,
        active=active,
        places=tuple(places),
        targets=tuple(targets),
        looks=DEFAULT,
    )
    return write(root, uri, asked)


def write(
    root: Path,
    uri: str | None,
    asked: Asked,
    *,
    live: bool = False,
    place: Path | None = None,
    untrained: Collection[str] | None = None,
) -> TrackReport:
    """The same; ``live`` while more results are to come.

    What contradicts the store is then left alone: later rounds may still be from an
    earlier state of the code. What the workspace no longer holds is left alone, too.
    ``place`` is the folder with ``artifacts``, where it is not the root. ``untrained``
    are the tasks whose dense network did not train; None = as last told to this store.
    """
    uri, place = store_uri(root, uri), root if place is None else place
    chains = chains_of(round_results(place, asked.active))
    analyses = tracked_analyses(place, asked.places)
    approximations = tracked_approximations(place, asked.targets)
    tags = experiment_tags(asked.experiment, chains, analyses, approximations)
    seeds = {chain.first.seed for chain in chains}
    if untrained is not None:
        tags[UNTRAINED] = json.dumps(sorted(untrained))
    hashes = dvc_hashes.recorded(root)
    file = sqlite_file(uri)
    if not (chains or analyses or approximations) and file and not file.exists():
        raise TrackingError(
            "there are no results to track in artifacts/; make them with `dvc repro`, or "
            "fetch them with `dvc pull`"
        )
    with locked(root), opened(uri) as client:
        marks = enclosing(root) == root.resolve()
        stored = partial(_stored_seeds, client, asked.experiment)
        declared = partial(looks_tag, looks=asked.looks, seeds=seeds, stored=stored)
        number = experiments.found(
            client,
            asked.experiment,
            lambda before: {**tags, LOOKS: declared(before)},
            folder=experiments.folder_of(uri, root),
            marks=marks,
        )
        target = Target(
            client=client,
            experiment_id=number,
            source=source_tags(root),
            marks=marks,
            dvc_experiment=os.environ.get("DVC_EXP_NAME", ""),
        )
        # Figures and verdicts read these tags, too.
        known = client.get_experiment(number).tags
        failed = untrained_tasks(known) if untrained is None else frozenset(untrained)
        winning = winning_tags(chains, declared_looks(known), failed)
        contents = [
            *(of_chain(place, one, winning.get(one.key, {}), hashes) for one in chains),
            *(of_analysis(place, one, hashes) for one in analyses),
            *(of_approximation(place, one, hashes) for one in approximations),
        ]
        done = _write_all(target, contents, live=live)
    return TrackReport(
        uri=redacted(uri),
        view=experiments.view(uri, number),
        untrained=failed,
        **{outcome: tuple(done[outcome]) for outcome in OUTCOMES},
    )


def _stored_seeds(client: "MlflowClient", experiment: str) -> set[int]:
    """The seeds of the chains that an experiment holds; none if there is no experiment."""
    known = client.get_experiment_by_name(experiment)
    if known is None:
        return set()
    found = find_runs(client, known.experiment_id, "tags.kind = 'chain'")
    seeds = (run.data.tags.get("seed", "") for run in found)
    return {int(seed) for seed in seeds if seed.isdecimal()}


OUTCOMES = ("created", "appended", "mended", "untouched", "deleted")


def _write_all(
    target: Target, contents: Sequence[RunContent], *, live: bool
) -> dict[str, list[str]]:
    known = _trees(target)
    done: dict[str, list[str]] = defaultdict(list)
    for position, content in enumerate(contents):
        trees = known.pop(content.key, [])
        tree = next((one for one in trees if not one.contradicts(content)), None)
        if trees and tree is None and live:
            done["untouched"].append(content.name)
            continue
        if trees and tree is None:
            done["deleted"].append(content.name)
        for other in trees:
            if other is not tree:
                runs.delete(target, other)  # other results, or two machines wrote at once
        kept = tree or runs.create(target, content, position)
        new = runs.write(target, kept, content)
        done[_outcome(kept, new, is_new=tree is None)].append(content.name)
    if target.marks and not live:
        rest = [tree for trees in known.values() for tree in trees]
        _mark_gone(
            target, [one for one in rest if one.run.data.tags.get("kind") != SUMMARY]
        )
    return done


def _mark_gone(target: Target, trees: Iterable[Tree]) -> None:
    for tree in trees:
        child_tag = CHILDREN.get(tree.run.data.tags.get("kind", ""), "round")
        runs.mark_gone(target, tree, child_tag)


def _outcome(tree: Tree, new: set[str], *, is_new: bool) -> str:
    if is_new:
        return "created"
    if new & tree.recorded.keys():
        return "mended"
    return "appended" if new else "untouched"


def _trees(target: Target) -> dict[str, list[Tree]]:
    """Key -> runs of that key with their child runs. Children without a run are deleted.

    Runs without a key are other people's.
    """
    every = find_runs(target.client, target.experiment_id, "")
    children: dict[str, list[Run]] = defaultdict(list)
    for run in every:
        if run.data.tags.get("kind") in CHILDREN.values() and PARENT in run.data.tags:
            children[run.data.tags[PARENT]].append(run)
    found: dict[str, list[Tree]] = defaultdict(list)
    for run in every:
        if "key" in run.data.tags and PARENT not in run.data.tags:
            mine = children.pop(run.info.run_id, [])
            found[run.data.tags["key"]].append(Tree(run=run, children=mine))
    for parent_id, orphans in children.items():
        # Asked again: another machine may have written both since the search began.
        if not is_there(target.client, parent_id):
            for orphan in orphans:
                target.client.delete_run(orphan.info.run_id)
    return found
