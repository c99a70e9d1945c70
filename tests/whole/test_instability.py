"""Analyses under the real dvc: what they train, and what they leave alone."""

from collections import Counter

import pytest
from helpers.experiment import CONNECTION, INSTABILITY
from helpers.workspace import Workspace

from pipeline.tracking import read

COPIES = {"main-stable-r00-k000000-s0-1"}
LINES = {
    "lines@main-stable-r00-k000000-s0-1",
    "lines@main-line-r01-s0-1",
    "lines@main-seeds-r00-s0-1",
}
BETWEEN_SEEDS = CONNECTION | {"of": "dense", "to": "other-seed", "rounds": None}


@pytest.fixture
def analyzed(workspace: Workspace) -> Workspace:
    """One round, with copies of the dense network and lines to it, planned."""
    analyses = {"stable": INSTABILITY, "line": CONNECTION, "seeds": BETWEEN_SEEDS}
    workspace.edit(rounds=1, analyses=analyses)
    return workspace


@pytest.mark.slow
def test_an_analysis_trains_its_copies_and_no_round(analyzed: Workspace) -> None:
    ran = analyzed.repro("track")
    assert ran.trained == COPIES
    assert set(ran.executed) & LINES == LINES
    assert tracked_points(analyzed) == {"stable": 2 * 5, "line": 2 * 5, "seeds": 5}
    assert analyzed.repro("track").executed == ()
    status = analyzed.done("python", "-m", "pipeline.cli", "status").output
    for name in ("stable", "line", "seeds"):
        assert f"main/{name}: 1 of 1 places done" in status

    analyzed.edit(analyses__stable__points=9)
    ran = analyzed.repro("track")
    assert set(ran.executed) - {"plan"} == {"lines@main-stable-r00-k000000-s0-1", "track"}
    assert tracked_points(analyzed) == {"stable": 2 * 9, "line": 2 * 5, "seeds": 5}

    analyzed.edit(analyses={})
    ran = analyzed.repro("track")
    assert ran.trained == set()
    assert "track" in ran.executed
    assert tracked_points(analyzed) == {}
    assert not (analyzed.root / "artifacts/copies/main").exists()
    assert not (analyzed.root / "artifacts/lines/main").exists()


def tracked_points(workspace: Workspace) -> dict[str, int]:
    """Points that are on the lines of each analysis in the store."""
    store = read(f"sqlite:///{workspace.root}/mlflow.db", "toy")
    return dict(Counter(row["analysis"] for row in store.lines))
