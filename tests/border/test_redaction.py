"""No password and no token is printed, whoever prints it."""

import logging
import subprocess
import sys

import pytest

from pipeline import cli
from pipeline.border import exits, redaction
from pipeline.border.errors import UserError
from pipeline.border.redaction import redacted


@pytest.fixture(autouse=True)
def nothing_known(monkeypatch):
    monkeypatch.setattr(redaction, "_hidden", set())


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("http://me:s3cret@host:5000/x", "http://me:***@host:5000/x"),
        ("http://me:s3/cr@et@host", "http://me:***@host"),
        (
            "at postgresql+psycopg://me:s3cret@h/x failed",
            "at postgresql+psycopg://me:***@h/x",
        ),
        ("https://s3cret@host", "https://***@host"),
        ("https://:s3cret@host", "https://:***@host"),
        ("'http://h/?password=s3cret&a=1'", "'http://h/?password=***&a=1'"),
        ("http://h/?a=1&token=s3cret", "a=1&token=***"),
        ("sslpassword=s3cret, api_key=s3cret", "sslpassword=***, api_key=***"),
        ("Authorization: Bearer s3crets3cret", "Bearer ***"),
    ],
)
def test_secrets_are_hidden_and_the_rest_is_readable(text, shown):
    assert "s3cr" not in redacted(text)
    assert shown in redacted(text)


@pytest.mark.parametrize(
    "text",
    ["sqlite:////home/me@work/mlflow.db", "http://127.0.0.1:5000/#/experiments/1", "a@b"],
)
def test_what_holds_no_secret_stays(text):
    assert redacted(text) == text


def test_a_known_password_is_hidden_however_it_is_taken_apart():
    redaction.hide_secrets_of("http://me:long%2Fsecret@host")
    assert redacted("user me, password long/secret, port 'long%2Fsecret'") == (
        "user me, password ***, port '***'"
    )


def test_the_value_of_a_secret_variable_is_hidden(monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", "a-long-token")
    assert redacted("with a-long-token") == "with ***"


def test_everything_printed_and_logged_in_a_command_is_redacted(capsys):
    uri = "http://me:s3cret@host"

    def say() -> None:
        sys.stdout.writelines([f"{uri}\n"])
        print(uri, file=sys.stderr)  # noqa: T201
        handler = logging.StreamHandler()
        handler.emit(logging.makeLogRecord({"msg": uri}))
        raise UserError(f"no store at {uri}")

    with pytest.raises(SystemExit), exits.one_line_errors():
        say()
    said = capsys.readouterr()
    assert "s3cret" not in said.out + said.err
    assert said.out == "http://me:***@host\n"
    assert said.err.count("me:***@host") == 3


def test_a_traceback_is_redacted_too():
    code = (
        "from pipeline.border import exits\n"
        "with exits.one_line_errors():\n"
        "    raise RuntimeError('http://me:' + 's3cr' + 'et@host')\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert "s3cret" not in done.stderr
    assert "RuntimeError: http://me:***@host" in done.stderr


def test_words_that_the_command_does_not_know_are_redacted(capsys, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["lt-pipeline", "track", "http://me:s3cret@host"])
    with pytest.raises(SystemExit):
        cli.main()
    said = capsys.readouterr()
    assert "***@host" in said.err
    assert "s3cret" not in said.err + said.out
