"""What is in a workspace's MLflow store: of a ``Workspace`` read without MLflow."""

import sqlite3
from pathlib import Path
from typing import Any

from helpers.workspace import Workspace
from pipeline.tracking import store_uri
from pipeline.tracking.store import opened

EXPERIMENTS = """
select distinct e.name from experiments e join runs r on r.experiment_id = e.experiment_id
"""
CHAINS = """
select r.name, m.step from runs r
join metrics m on m.run_uuid = r.run_uuid and m.key = 'density'
join tags t on t.run_uuid = r.run_uuid and t.key = 'kind'
where t.value = 'chain' and r.lifecycle_stage = 'active'
"""


def experiments(workspace: Workspace) -> set[str]:
    """Names of the experiments that have runs."""
    return {name for (name,) in _rows(workspace, EXPERIMENTS)}


def tracked_chains(workspace: Workspace) -> dict[str, set[int]]:
    """The runs of chains, by name, with the rounds they hold."""
    found: dict[str, set[int]] = {}
    for name, round in _rows(workspace, CHAINS):
        found.setdefault(name, set()).add(round)
    return found


def runs(root: Path, experiment: str, query: str = "") -> list[Any]:
    """The runs of an experiment in the store of a folder, as MLflow gives them."""
    with opened(store_uri(root)) as client:
        number = client.get_experiment_by_name(experiment).experiment_id
        return list(client.search_runs([number], query, max_results=1000))


def history(root: Path, run: Any, metric: str) -> dict[int, float]:  # noqa: ANN401
    """Step -> value of one metric."""
    with opened(store_uri(root)) as client:
        points = client.get_metric_history(run.info.run_id, metric)
    return {point.step: point.value for point in points}


def _rows(workspace: Workspace, query: str) -> list[tuple[Any, ...]]:
    with sqlite3.connect(workspace.root / "mlflow.db") as store:
        return store.execute(query).fetchall()
