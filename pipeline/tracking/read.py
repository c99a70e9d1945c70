"""Read tables of results back from an MLflow store, without the artifacts."""

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.border.redaction import redacted
from pipeline.core.looks import DEFAULT, Looks
from pipeline.results.tables import Row
from pipeline.tracking.addresses import TrackingError, sqlite_file, store_uri
from pipeline.tracking.distinct_names import distinct_names
from pipeline.tracking.experiment_tags import TASKS
from pipeline.tracking.looks import declared_looks
from pipeline.tracking.read_analyses import read_analyses
from pipeline.tracking.round_metrics import CURVE, LAYER, ROUND_METRICS
from pipeline.tracking.store import find_runs, metric_history, opened

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Experiment, Run

COUNTS = (
    "kept",
    "prunable",
    "early_stop_step",
    "steps",
    "multiply_adds",
    "find_multiply_adds",
)
FLAGS = ("censored", "diverged")


@dataclass(frozen=True, kw_only=True, slots=True)
class TrackedStore:
    """Tables of one experiment, by task as in params.yaml, then variant, seed, round."""

    experiment: str
    rounds: tuple[Row, ...]
    """task, variant, seed, round, and ``ROUND_METRICS``; None where unknown"""
    layers: tuple[Row, ...]
    """task, variant, seed, round, layer, density"""
    curves: tuple[Row, ...]
    """task, variant, seed, round, density, step, loss, accuracy: of the
    validation set"""
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
    analyses: Mapping[tuple[str, str], Mapping[str, str]] = field(default_factory=dict)
    """task, analysis -> the settings behind its results and its network ``of``"""
    looks: Looks = DEFAULT
    """at which numbers of seeds there may be a verdict, as declared; open-ended if the
    declaration was changed once there were results to look at"""


def read(
    uri: str | None,
    experiment: str,
    variants: Collection[str] | None = None,
    *,
    all_runs: bool = False,
    curves: bool = True,
    root: Path = Path(),
) -> TrackedStore:
    """Read an experiment back from the store.

    Args:
        uri: the store; None = MLFLOW_TRACKING_URI, else mlflow.db in the repository.
        experiment: its name.
        variants: only these, and analyses of them or of the dense network; None = all.
        all_runs: whether to read results of earlier settings and dropped rounds too. If
            a name has results of several settings, the settings that differ follow it.
        curves: whether to read ``curves`` and ``lines``, which takes most of the time.
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
        only = "" if all_runs else " and tags.current = 'true'"
        parents = find_runs(client, number, f"tags.kind = 'chain'{only}")
        analyses = find_runs(client, number, f"tags.kind = 'analysis'{only}")
        _check_variants(experiment, variants, parents, analyses)
        names = distinct_names(parents, "variant")
        tasks = _tasks(found, parents)
        rounds, layers, points = [], [], []
        children = find_runs(client, number, f"tags.kind = 'round'{only}")
        for child in _wanted(children, variants, tasks):
            row = _row(child, names)
            rounds.append(row)
            layers += _layers(child, row)
            points += _curve(client, child, row) if curves else []
        places = find_runs(client, number, f"tags.kind = 'place'{only}")
        tables = read_analyses(client, analyses, places, variants, lines=curves)
    return TrackedStore(
        experiment=experiment,
        rounds=tuple(rounds),
        layers=tuple(layers),
        curves=tuple(points),
        settings={
            (run.data.tags["task"], names[run.info.run_id]): dict(run.data.params)
            for run in sorted(parents, key=lambda run: tasks[run.data.tags["task"]])
        },
        lines=tables.lines,
        barriers=tables.barriers,
        analyses=tables.settings,
        looks=declared_looks(found.tags),
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
        with opened(uri) as client:
            known = {e.experiment_id: e.name for e in client.search_experiments()}
            query = "tags.kind = 'chain'"
            names = sorted(n for i, n in known.items() if find_runs(client, i, query))
    return [read(uri, name, all_runs=True, curves=False, root=root) for name in names]


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
    analyses: Sequence["Run"],
) -> None:
    known = sorted({run.data.tags["variant"] for run in parents})
    if not known and not analyses:
        raise TrackingError(
            f"experiment {experiment!r} holds no results of the current plan; "
            "run `lt-pipeline track`"
        )
    unknown = sorted(set(variants or ()) - set(known))
    if unknown:
        raise TrackingError(
            f"no results of variant {', '.join(unknown)} in experiment "
            f"{experiment!r}; there is {_listed(known)}"
        )


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names) if names else "none"


def _tasks(experiment: "Experiment", parents: Sequence["Run"]) -> dict[str, int]:
    """Task -> its position. Tasks that the experiment does not name come last."""
    named = json.loads(experiment.tags.get(TASKS, "[]"))
    known = dict.fromkeys([*named, *(run.data.tags["task"] for run in parents)])
    return {task: position for position, task in enumerate(known)}


def _wanted(
    children: Sequence["Run"], variants: Collection[str] | None, tasks: Mapping[str, int]
) -> list["Run"]:
    """Child runs of these variants, in the order of the tables."""

    def order(child: "Run") -> tuple[int, str, int, int, str]:
        tags = child.data.tags
        numbers = int(tags["seed"]), int(tags["round"])
        key = tasks[tags["task"]], tags["variant"], *numbers
        return (*key, tags["mlflow.parentRunId"])

    found = sorted(children, key=order)
    return [r for r in found if variants is None or r.data.tags["variant"] in variants]


def _row(child: "Run", names: Mapping[str, str]) -> Row:
    tags, metrics = child.data.tags, child.data.metrics
    row: Row = {
        "task": tags["task"],
        "variant": names[tags["mlflow.parentRunId"]],
        "seed": int(tags["seed"]),
        "round": int(tags["round"]),
    }
    for name in ROUND_METRICS:
        value = metrics.get(name)
        if value is not None and name in COUNTS:
            value = int(value)
        row[name] = bool(value) if name in FLAGS else value
    return row


def _layers(child: "Run", row: Row) -> list[Row]:
    head = {name: row[name] for name in ("task", "variant", "seed", "round")}
    return [
        head | {"layer": name.removeprefix(LAYER), "density": value}
        for name, value in child.data.metrics.items()
        if name.startswith(LAYER)
    ]


def _curve(client: "MlflowClient", child: "Run", row: Row) -> list[Row]:
    head = {n: row[n] for n in ("task", "variant", "seed", "round", "density")}
    columns = {
        kind: metric_history(client, child, f"{CURVE}validation_{kind}")
        for kind in ("loss", "accuracy")
    }
    steps = sorted({step for points in columns.values() for step in points})
    return [
        head | {"step": s} | {kind: points.get(s) for kind, points in columns.items()}
        for s in steps
    ]
