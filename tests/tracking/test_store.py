"""A store is found, created once, and given up quickly."""

import os
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib import resources

import pytest
from helpers import synthetic
from helpers.toy_store import EXPERIMENT, write
from helpers.workspace import ROOT

from pipeline.tracking import (
    TrackingError,
    addresses,
    patience,
    source_tags,
    store_uri,
    track,
)


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


@contextmanager
def server(answer) -> Iterator[str]:
    """A server: request n gets the status and headers ``answer(n)``, or waits if None."""
    asked = []
    over = threading.Event()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked.append(self.path)
            found = answer(len(asked))
            if found is None:
                over.wait(60)
                return
            status, headers = found
            self.send_response(status)
            for name, value in {"Content-Length": "2", **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(b"{}")

        do_GET = do_POST  # noqa: N815 - http.server's name

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as found:
        threading.Thread(target=found.serve_forever, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{found.server_port}"
        finally:
            over.set()
            found.shutdown()


@pytest.fixture
def impatient(monkeypatch):
    """A second in all, of which a tenth is usual."""
    monkeypatch.setattr(patience, "PATIENCE_S", 1)
    monkeypatch.setattr(patience, "USUAL_S", 0.1)
    monkeypatch.setattr(patience, "AGAIN_S", 0.1)
    patience.PATIENCE.renew()
    yield patience.PATIENCE
    patience.PATIENCE.renew()


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize(
    "later", [None, (503, {"Retry-After": "60"}), (429, {"Retry-After": "60"}), (500, {})]
)
def test_a_server_that_fails_after_its_first_answers_is_given_up(root, later):
    with server(lambda n: (200, {}) if n == 1 else later) as uri:
        started = time.monotonic()
        with pytest.raises(TrackingError, match=r"cannot be used.*results are safe"):
            track(root, EXPERIMENT, uri, synthetic.active())
        assert time.monotonic() - started < 5


def test_a_server_that_is_slow_again_and_again_is_given_up(impatient):
    def asks() -> None:
        for _ in range(9):
            with impatient.waiting(1):
                time.sleep(0.3)

    started = time.monotonic()
    with pytest.raises(patience.OutOfPatienceError, match="after 1 s of waiting in all"):
        asks()
    assert time.monotonic() - started < 2.5


def test_any_number_of_usual_answers_are_waited_for(impatient, monkeypatch):
    monkeypatch.setattr(patience, "USUAL_S", 1.0)
    for _ in range(8):
        with impatient.waiting(1):
            time.sleep(0.2)


def tries_again():
    while True:
        with suppress(Exception):
            time.sleep(9)


def tidies_up():
    try:
        time.sleep(9)
    finally:
        time.sleep(9)


@pytest.mark.parametrize("work", [tries_again, tidies_up])
def test_nothing_that_a_library_does_prolongs_the_wait(impatient, work):
    started = time.monotonic()
    with pytest.raises(patience.OutOfPatienceError), impatient.waiting(1):
        work()
    assert time.monotonic() - started < 5


@contextmanager
def silent_database(answer: bytes) -> Iterator[str]:
    """Something that says this to everyone who says something, and then no more."""
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve() -> None:
            with suppress(OSError), ExitStack() as kept:
                while True:
                    asked = kept.enter_context(listening.accept()[0])
                    if asked.recv(1000) and answer:
                        asked.sendall(answer)

        thread = threading.Thread(target=serve)
        thread.start()
        yield f"postgresql://me:secret@127.0.0.1:{listening.getsockname()[1]}/x"
        listening.shutdown(socket.SHUT_RDWR)
        thread.join()


WELCOME = b"R\0\0\0\x08\0\0\0\0Z\0\0\0\x05I"
"""PostgreSQL: no password is needed, and it is ready"""


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("answer", [b"", WELCOME])
def test_a_database_that_hangs_is_given_up(root, answer):
    with silent_database(answer) as uri:
        started = time.monotonic()
        with pytest.raises(TrackingError, match=r"cannot be used \(no answer") as error:
            track(root, EXPERIMENT, uri, synthetic.active())
        assert time.monotonic() - started < 5
    assert "secret" not in str(error.value)


def test_the_limits_of_mlflow_itself_end_a_request_in_about_the_same_time():
    values = {name: float(v) for name, v in patience.LATER.items() if v.isdecimal()}
    tries = 1 + values[patience.RETRIES]
    pauses = sum(2**n for n in range(int(tries) - 1))
    assert tries * values[patience.TIMEOUT] + pauses <= patience.PATIENCE_S


def test_who_sets_the_limits_of_mlflow_keeps_them(monkeypatch):
    monkeypatch.setenv(patience.TIMEOUT, "50")
    monkeypatch.delenv(patience.RETRIES, raising=False)
    assert patience.allowed_s() == 50 * (1 + int(patience.LATER[patience.RETRIES]))
    with patience.limits(patience.LATER):
        assert os.environ[patience.TIMEOUT] == "50"
    assert patience.RETRIES not in os.environ


def test_a_server_that_answers_nothing_is_no_mlflow_server(root):
    with server(lambda _: (200, {})) as uri, pytest.raises(TrackingError) as error:
        track(root, EXPERIMENT, uri, synthetic.active())
    assert "is no MLflow server" in str(error.value)


@pytest.mark.parametrize(
    "uri",
    [
        "http://me:sec/ret@host:5000",
        "http://me:12/ret@host",
        "postgresql://me:sec?ret@host/x",
        "http://host:port",
        "http://[::1",
        "http://",
        "http://a host",
        "gopher://me:secret@host",
        "./mlruns",
    ],
)
def test_a_malformed_address_is_one_line_without_its_password(root, uri, monkeypatch):
    asked = []
    for module, name in ((socket, "getaddrinfo"), (time, "sleep")):
        monkeypatch.setattr(module, name, lambda *args, **_: asked.append(args))
    with pytest.raises(TrackingError, match="the store's address") as error:
        track(root, EXPERIMENT, uri, synthetic.active())
    message = str(error.value)
    assert "\n" not in message
    assert "sec" not in message
    assert "ret" not in message
    assert asked == []  # no host, and nothing to wait for


@pytest.mark.parametrize(
    ("installed", "used"),
    [
        ({"psycopg2", "psycopg"}, "postgresql+psycopg2://me@h/x"),
        ({"psycopg"}, "postgresql+psycopg://me@h/x"),
    ],
)
def test_a_database_is_opened_with_the_driver_that_is_there(monkeypatch, installed, used):
    find = addresses.importlib.util.find_spec
    monkeypatch.setattr(
        addresses.importlib.util,
        "find_spec",
        lambda name: find("os") if name in installed else None,
    )
    assert addresses.usable("postgresql://me@h/x") == used
    assert addresses.usable("postgresql+pg8000://me@h/x") == "postgresql+pg8000://me@h/x"


def test_without_a_driver_the_line_says_which_to_install(monkeypatch):
    monkeypatch.setattr(addresses.importlib.util, "find_spec", lambda _: None)
    with pytest.raises(TrackingError, match=r"pip install 'psycopg2-binary'` or `pip"):
        addresses.usable("postgresql://me@h/x")


def test_a_password_is_not_printed(root):
    uri = "postgresql+psycopg2://me:secret@127.0.0.1:9/x"
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
    said = sorted(out.splitlines()[0].split(": ")[1] for out, _ in outputs)
    assert said == [
        "0 new, 0 longer, 3 unchanged, 0 replaced",
        "3 new, 0 longer, 0 unchanged, 0 replaced",
    ]


def test_a_store_lies_in_its_folder_whatever_that_is_called(root, monkeypatch):
    odd = root.with_name("x?v=2 a%20b #1")
    root.rename(odd)
    # From below it: MLflow keeps the stores of a process by their relative addresses.
    monkeypatch.chdir(odd / "artifacts")
    uri = store_uri(odd)
    assert addresses.sqlite_file(uri).resolve() == odd / "mlflow.db"
    assert write(odd).created == ()
    assert list(odd.parent.iterdir()) == [odd]


@pytest.mark.parametrize(
    ("revision", "advice"),
    [
        ("", "written by an older MLflow; copy it, then run `mlflow db upgrade 'sqlite:"),
        ("ffff0000ffff", "written by a newer MLflow; run `pip install --upgrade mlflow`"),
    ],
)
def test_a_database_of_another_version_is_named_with_what_helps(root, revision, advice):
    versions = resources.files("mlflow.store.db_migrations.versions")
    known = sorted(file.name for file in versions.iterdir() if file.name.endswith(".py"))
    with sqlite3.connect(root / "mlflow.db") as database:
        old = revision or next(n for n in known if n[0] in "0123456789abcdef").split("_")[0]
        database.execute("UPDATE alembic_version SET version_num = ?", (old,))
    database.close()
    with pytest.raises(TrackingError, match=advice) as caught:
        write(root)
    assert "lt-pipeline track" not in str(caught.value)


def test_a_user_without_a_name_is_a_number(tmp_path, monkeypatch):
    def nobody() -> str:
        raise KeyError("getpwuid(): uid not found: 4711")

    monkeypatch.setattr("getpass.getuser", nobody)
    monkeypatch.setattr("os.getuid", lambda: 4711)
    assert source_tags.source_tags(tmp_path)["mlflow.user"] == "4711"
