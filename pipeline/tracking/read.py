"""Read tables of results back from an MLflow store, without the artifacts."""

import json
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.border.redaction import redacted
from pipeline.core.looks import DEFAULT, Looks
from pipeline.results.tables import OF_FITS, Row, if_sound
from pipeline.tracking.addresses import TrackingError, sqlite_file, store_uri
from pipeline.tracking.choice import Choice, Runs
from pipeline.tracking.distinct_names import distinct_names, settings_of
from pipeline.tracking.experiment_tags import TASKS
from pipeline.tracking.experiments import with_chains
from pipeline.tracking.kinds import KINDS
from pipeline.tracking.looks import declared_looks
from pipeline.tracking.read_analyses import read_analyses
from pipeline.tracking.read_approximations import read_approximations
from pipeline.tracking.round_metrics import CURVE, LAYER, MEASURE, ROUND_METRICS
from pipeline.tracking.runs import Tree
from pipeline.tracking.source_tags import COMMIT
from pipeline.tracking.store import find_runs, metric_history, opened

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Experiment, Run

COUNTS = (
    "kept",
    "prunable",
    "early_stop_step",
    "steps",
    "collapsed_layers",
    "multiply_adds",
    "find_multiply_adds",
)
VALIDATION = "validation"
MOST_LACKING = 3
"""how many results that lack a warning names"""
EVALUATES = "train.evaluate_train"
"""the setting that has trainings evaluated on their training set"""
FLAGS = ("censored", "diverged")


@dataclass(frozen=True, kw_only=True, slots=True)
class TrackedStore:
    """Tables of one experiment, by task as in params.yaml, then variant, seed, round."""

    experiment: str
    rounds: tuple[Row, ...]
    """task, variant, seed, round, and ``ROUND_METRICS``; None where unknown. With
    ``OF_FITS`` where a training was evaluated on its training set; None = censored"""
    layers: tuple[Row, ...]
    """task, variant, seed, round, layer, density"""
    curves: tuple[Row, ...]
    """task, variant, seed, round, density, split, step, loss, accuracy"""
    measures: tuple[Row, ...] = ()
    """task, variant, seed, round, density, measure, step, value; where settings ask"""
    settings: Mapping[tuple[str, str], Mapping[str, str]] = field(default_factory=dict)
    """task, variant -> the settings behind its results, as ``formats.params`` names them"""
    lines: tuple[Row, ...] = ()
    """task, analysis, kind, of, to, round, step, density, seed, pair, statistics, alpha,
    loss, error: the points between two networks, in order of alpha; ``density`` is that
    of the network ``of``, ``statistics`` is interpolated or recalibrated; None where
    unknown"""
    barriers: tuple[Row, ...] = ()
    """one row per line: the columns of ``lines`` up to ``statistics``, then error_barrier,
    loss_barrier, error_a, error_b, distance, sign_changes, mask_overlap,
    mask_overlap_by_chance"""
    approximations: tuple[Row, ...] = ()
    """task, approximation, of, construction, candidates, epsilon_asked, round, density (of
    the target), seed, and ``approximation_runs.FACTS``"""
    analyses: Mapping[tuple[str, str], Mapping[str, str]] = field(default_factory=dict)
    """task, analysis -> the settings behind its results and its network ``of``"""
    looks: Looks = DEFAULT
    """at which numbers of seeds there may be a verdict, as declared; open-ended if the
    declaration was changed once there were results to look at"""
    commits: tuple[str, ...] = ()
    """of the repository when the runs were tracked, shortened"""
    lacking: tuple[str, ...] = ()
    """names of runs and child runs that the store should have and has not: those of the
    workspace that are not tracked, or that people have deleted"""

    @property
    def warning(self) -> str:
        """One line about what is lacking; empty where nothing is."""
        if not self.lacking:
            return ""
        shown = ", ".join(self.lacking[:MOST_LACKING])
        more = ", …" if len(self.lacking) > MOST_LACKING else ""
        return (
            f"experiment {self.experiment!r} lacks {len(self.lacking)} results in the "
            f"store ({shown}{more}); run `dvc repro`, or `lt-pipeline track` if they are "
            "there"
        )


def read(
    uri: str | None,
    experiment: str,
    variants: Collection[str] | None = None,
    *,
    runs: Runs = "current",
    curves: Collection[str] = (VALIDATION,),
    root: Path = Path(),
) -> TrackedStore:
    """Read an experiment back from the store, whatever people have deleted in it.

    Args:
        uri: the store; None = MLFLOW_TRACKING_URI, else mlflow.db in the repository.
        experiment: its name.
        variants: only these, and analyses and approximations of them or of the dense
            network; None = all.
        runs: those that ``held`` gives for the workspace that asks; or ``current``, those
            of the workspace that wrote last; or ``all``, results of earlier settings and
            dropped rounds too. If a name has results of several settings, the settings
            that differ follow it.
        curves: the splits to read ``curves`` of, which takes most of the time; with none
            of them there are no ``measures`` and ``lines`` either.
        root: of the repository.

    Raises:
        TrackingError: there is no such store, experiment or variant (the message names
            those that exist), or the store cannot be used.
    """
    uri = store_uri(root, uri)
    file = sqlite_file(uri)
    if file and not file.exists():
        raise TrackingError(
            f"there is no tracked result yet: {file} does not exist; run `dvc repro`, "
            "or `lt-pipeline track` if results are there"
        )
    with opened(uri) as client:
        found = _experiment(client, experiment, redacted(uri))
        number = found.experiment_id
        choice = Choice(runs)
        every = find_runs(client, number, "tags.kind = 'chain'")
        chains = choice.chains(every, find_runs(client, number, "tags.kind = 'round'"))
        analyses = _trees(client, number, choice, "analysis")
        approximations = _trees(client, number, choice, "approximation")
        _check_variants(experiment, variants, [c.run for c in chains], analyses)
        order = _order(_tasks(found, chains, choice))
        chains.sort(key=order)
        names = distinct_names([chain.run for chain in chains], "variant")
        rounds, layers, points, measured = [], [], [], []
        for chain in chains:
            if variants is not None and chain.run.data.tags["variant"] not in variants:
                continue
            for child in chain.children:
                row = _row(child, chain.run, names)
                rounds.append(row)
                layers += _layers(child, row)
                for split in curves:
                    points += _curve(client, child, row, split)
                measured += _measures(client, child, row) if curves else []
        tables = read_analyses(client, analyses, variants, lines=bool(curves))
    return TrackedStore(
        experiment=experiment,
        rounds=tuple(rounds),
        layers=tuple(layers),
        curves=tuple(points),
        measures=tuple(measured),
        settings={
            (chain.run.data.tags["task"], names[chain.run.info.run_id]): settings_of(
                chain.run
            )
            for chain in chains
        },
        lines=tables.lines,
        barriers=tables.barriers,
        approximations=read_approximations(approximations, variants),
        analyses=tables.settings,
        looks=declared_looks(found.tags),
        lacking=choice.lacking([*chains, *analyses, *approximations], variants),
        commits=tuple(sorted({c.run.data.tags.get(COMMIT, "")[:7] for c in chains} - {""})),
    )


def read_all(
    uri: str | None, experiment: str | None = None, *, root: Path = Path()
) -> list[TrackedStore]:
    """Read every experiment that holds chains, with results of earlier settings.

    Args:
        uri: as for ``read``.
        experiment: only this one; None = all. Without a store there are none.
        root: of the repository.

    Returns:
        Tables without curves and lines.

    Raises:
        TrackingError: the store cannot be used, or does not hold the experiment.
    """
    uri = store_uri(root, uri)
    file = sqlite_file(uri)
    names = [experiment] if experiment else []
    if not experiment and not (file and not file.exists()):
        names = with_chains(uri)
    return [read(uri, name, runs="all", curves=(), root=root) for name in names]


def _trees(client: "MlflowClient", number: str, choice: Choice, name: str) -> list[Tree]:
    """The runs of a kind that are read, with their child runs."""
    kind = KINDS[name]
    runs, children = (
        find_runs(client, number, f"tags.kind = '{one}'") for one in (name, kind.child)
    )
    return choice.others(kind, runs, children)


def _experiment(client: "MlflowClient", name: str, uri: str) -> "Experiment":
    found = client.get_experiment_by_name(name)
    if found and found.lifecycle_stage == "active":
        return found
    names = sorted(e.name for e in client.search_experiments() if e.name != "Default")
    raise TrackingError(
        f"no experiment {name!r} in {uri}; there is {_listed(names)}: "
        "give one with --experiment, or run `lt-pipeline track`"
    )


def _check_variants(
    experiment: str,
    variants: Collection[str] | None,
    parents: Sequence["Run"],
    analyses: Sequence[Tree],
) -> None:
    known = sorted({run.data.tags["variant"] for run in parents})
    if not known and not analyses:
        raise TrackingError(
            f"experiment {experiment!r} holds no results of the current plan; run "
            "`dvc repro`, or `lt-pipeline track` if results are there"
        )
    unknown = sorted(set(variants or ()) - set(known))
    if unknown:
        raise TrackingError(
            f"no results of variant {', '.join(unknown)} in experiment "
            f"{experiment!r}; there is {_listed(known)}"
        )


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names) if names else "none"


def _tasks(
    experiment: "Experiment", chains: Sequence[Tree], choice: Choice
) -> dict[str, int]:
    """Task -> its position: as the workspace has them, else as the experiment says."""
    try:
        named = [str(task) for task in json.loads(experiment.tags.get(TASKS, "[]"))]
    except (ValueError, TypeError):
        named = []  # somebody has edited it
    asked = [key.partition("/")[0] for key in choice.held or ()]
    found = [chain.run.data.tags["task"] for chain in chains]
    return {task: n for n, task in enumerate(dict.fromkeys([*asked, *named, *found]))}


def _order(tasks: Mapping[str, int]) -> Callable[[Tree], tuple[int, str, int, str]]:
    """By task, variant and seed, the order of the tables."""

    def order(chain: Tree) -> tuple[int, str, int, str]:
        tags = chain.run.data.tags
        key = tasks[tags["task"]], tags["variant"], int(tags["seed"])
        return (*key, chain.run.info.run_id)

    return order


def _row(child: "Run", parent: "Run", names: Mapping[str, str]) -> Row:
    tags, metrics = parent.data.tags, child.data.metrics
    row: Row = {
        "task": tags["task"],
        "variant": names[parent.info.run_id],
        "seed": int(tags["seed"]),
        "round": int(child.data.tags["round"]),
    }
    for name in ROUND_METRICS:
        value = metrics.get(name)
        if value is not None and name in COUNTS:
            value = int(value)
        row[name] = bool(value) if value is not None and name in FLAGS else value
    asked = parent.data.params.get(EVALUATES) == "true"
    fits = OF_FITS if asked or metrics.keys() & set(OF_FITS) else ()
    return if_sound(row | {name: metrics.get(name) for name in fits})


def _layers(child: "Run", row: Row) -> list[Row]:
    head = {name: row[name] for name in ("task", "variant", "seed", "round")}
    return [
        head | {"layer": name.removeprefix(LAYER), "density": value}
        for name, value in child.data.metrics.items()
        if name.startswith(LAYER)
    ]


OF_POINTS = ("task", "variant", "seed", "round", "density")
"""columns of a round that the points of its curves have, too"""


def _measures(client: "MlflowClient", child: "Run", row: Row) -> list[Row]:
    head = {name: row[name] for name in OF_POINTS}
    return [
        head | {"measure": name.removeprefix(MEASURE), "step": step, "value": value}
        for name in sorted(child.data.metrics)
        if name.startswith(MEASURE)
        for step, value in sorted(metric_history(client, child, name).items())
    ]


def _curve(client: "MlflowClient", child: "Run", row: Row, split: str) -> list[Row]:
    head = {name: row[name] for name in OF_POINTS}
    columns = {
        kind: metric_history(client, child, f"{CURVE}{split}_{kind}")
        for kind in ("loss", "accuracy")
    }
    steps = sorted({step for points in columns.values() for step in points})
    return [
        head
        | {"split": split, "step": s}
        | {kind: points.get(s) for kind, points in columns.items()}
        for s in steps
    ]
