"""A store is found, created once, and given up quickly."""

import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from helpers import synthetic
from helpers.toy_store import EXPERIMENT, write

from pipeline.tracking import TrackingError, store_uri, track

ROOT = Path(__file__).parents[2]


def test_an_unreachable_server_is_one_line_within_seconds(root):
    started = time.monotonic()
    with pytest.raises(TrackingError, match=r"cannot be used.*results are safe") as e:
        track(root, EXPERIMENT, "http://127.0.0.1:9", synthetic.active())
    assert "\n" not in str(e.value)
    assert time.monotonic() - started < 10


def test_a_server_that_never_answers_is_given_up_within_seconds(root):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        uri = f"http://127.0.0.1:{silent.getsockname()[1]}"
        started = time.monotonic()
        with pytest.raises(TrackingError, match="cannot be used"):
            track(root, EXPERIMENT, uri, synthetic.active())
        assert time.monotonic() - started < 10


def test_a_password_is_not_printed(root):
    uri = "postgresql://me:secret@127.0.0.1:9/x"
    with pytest.raises(TrackingError, match=r"me:\*\*\*@127") as e:
        track(root, EXPERIMENT, uri, synthetic.active())
    assert "secret" not in str(e.value)


def test_a_temporary_workspace_uses_the_store_of_the_repository_around(
    tmp_path, monkeypatch
):
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    inside = tmp_path / ".dvc/tmp/exps/tmpabc"
    inside.mkdir(parents=True)
    assert store_uri(inside) == f"sqlite:///{tmp_path}/mlflow.db"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://there")
    assert store_uri(inside) == "http://there"
    assert store_uri(inside, "http://here") == "http://here"


def test_a_run_opened_by_mlflow_run_is_not_used(root, monkeypatch):
    monkeypatch.setenv("MLFLOW_RUN_ID", "0" * 32)
    write(root)
    assert "MLFLOW_RUN_ID" not in os.environ


def test_two_processes_at_once_make_every_run_once(tmp_path):
    synthetic.fabricate(tmp_path, rounds=1, seeds=(0,))
    code = (
        "import pathlib\n"
        "from helpers import synthetic\n"
        "from pipeline.tracking import track\n"
        "plan = synthetic.active(rounds=1, seeds=(0,))\n"
        f"print(track(pathlib.Path({str(tmp_path)!r}), 'toy', None, plan))"
    )
    paths = os.pathsep.join([str(ROOT), str(ROOT / "tests")])
    started = [
        subprocess.Popen(
            [sys.executable, "-c", code],
            env={**os.environ, "PYTHONPATH": paths, "MLFLOW_TRACKING_URI": ""},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(2)
    ]
    outputs = [process.communicate(timeout=60) for process in started]
    assert [err for _, err in outputs] == ["", ""]
    said = sorted(out.split(": ")[1] for out, _ in outputs)
    assert said == [
        "0 new, 0 longer, 2 unchanged, 0 replaced\n",
        "2 new, 0 longer, 0 unchanged, 0 replaced\n",
    ]
