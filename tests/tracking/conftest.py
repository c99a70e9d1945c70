import shutil

import pytest
from helpers import synthetic
from helpers.toy_store import EXPERIMENT

from pipeline.tracking import track


@pytest.fixture(scope="session")
def template(tmp_path_factory):
    """A store with the results of two variants, two seeds, two rounds; made once."""
    root = tmp_path_factory.mktemp("template")
    synthetic.fabricate(root)
    report = track(root, EXPERIMENT, f"sqlite:///{root}/mlflow.db", synthetic.active())
    assert len(report.created) == 6
    return root


@pytest.fixture
def root(template, tmp_path, monkeypatch):
    """A workspace of one's own with the store of ``template``."""
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    shutil.copytree(template, tmp_path / "w")
    return tmp_path / "w"
