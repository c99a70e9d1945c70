"""Tags of winning tickets say what figures and verdicts say: at the looks of the store."""

import pytest
from helpers import synthetic
from helpers.toy_store import EXPERIMENT, only

from pipeline.core.looks import Looks
from pipeline.results import winning
from pipeline.tracking import read
from pipeline.tracking.write import Asked, write

PLAN = {"variants": ("ticket",), "rounds": 1, "seeds": (0, 1)}
WINNER = winning.Winner(density=0.211, confidence="sure", num_seeds=8, shown=True)


@pytest.fixture
def root(tmp_path, monkeypatch):
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    synthetic.fabricate(tmp_path, **PLAN)
    return tmp_path


def asked(looks):
    plan = synthetic.active(**PLAN)
    return Asked(experiment=EXPERIMENT, active=plan, places=(), targets=(), looks=looks)


def test_no_ticket_wins_where_the_dense_network_did_not_train(root, monkeypatch):
    monkeypatch.setattr(winning, "smallest_winning", lambda *_, **__: WINNER)

    def shown(**told):
        report = write(root, None, asked(Looks(at=(8,))), **told)
        return report.untrained, only(root, "ticket-s0").data.tags["winning_density"]

    assert shown() == (set(), "21.1 %")
    assert shown(untrained={"main": "it diverged"}) == ({"main"}, "none")
    assert shown() == ({"main"}, "none")  # as the store was told
    assert shown(untrained={}) == (set(), "21.1 %")


def test_tickets_are_judged_at_the_looks_of_the_store(root, monkeypatch):
    seen = []
    monkeypatch.setattr(
        winning, "smallest_winning", lambda *_, looks, **__: seen.append(looks)
    )
    for at in ((1, 2), (2,)):  # the second declaration comes after its look
        write(root, None, asked(Looks(at=at)))
        assert seen[-1] == read(None, EXPERIMENT, root=root).looks
    assert seen[-1].open
