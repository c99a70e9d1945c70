"""What is in a workspace's MLflow store, read without MLflow."""

import sqlite3

from workspace import Workspace

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


def _rows(workspace: Workspace, query: str) -> list[tuple]:
    with sqlite3.connect(workspace.root / "mlflow.db") as store:
        return store.execute(query).fetchall()
