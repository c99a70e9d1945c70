"""Code of the user's that fails is one line, and its traceback is kept."""

import importlib
from pathlib import Path

import pytest

from pipeline.border import exits, user_code, user_failures

CODE = """\
def deep(value):
    return {}[value]

def load():
    return deep("postgresql://me:hidden@host/x")

def leave():
    raise SystemExit(0)
"""
LINE = "yourfailing.code:load fails: KeyError: 'postgresql://me:***@host/x'; see"


@pytest.fixture(autouse=True)
def _there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "yourfailing").mkdir()
    (tmp_path / "yourfailing/__init__.py").touch()
    (tmp_path / "yourfailing/code.py").write_text(CODE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)


def ended(capsys: pytest.CaptureFixture[str]) -> str:
    """What is said where an error comes up that nobody has caught."""
    load = importlib.import_module("yourfailing.code").load
    with pytest.raises(SystemExit) as caught, exits.one_line_errors():
        load()
    assert caught.value.code == exits.WRONG_INPUT
    return capsys.readouterr().err


def test_it_is_one_line_wherever_it_comes_up(capsys: pytest.CaptureFixture[str]) -> None:
    user_failures.claim(["yourfailing.code:load"])
    where = "yourfailing/code.py:2 in deep, and its traceback"
    assert ended(capsys) == f"lt-pipeline: {LINE} {where} in .lt/traceback.txt\n"
    kept = Path(".lt/traceback.txt").read_text()
    assert kept.startswith("Traceback (most recent call last):")
    assert 'code.py", line 5, in load' in kept
    assert "hidden" not in kept


def test_its_traceback_comes_on_the_screen_on_demand(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    user_failures.claim(["yourfailing.code:load"])
    monkeypatch.setenv(user_failures.SHOW, "1")
    *above, last = ended(capsys).splitlines()
    assert above[0] == "Traceback (most recent call last):"
    assert last.endswith("in deep, and its traceback above")
    assert not Path(".lt").exists()


def test_code_that_ends_the_process_is_an_error() -> None:
    with pytest.raises(user_code.CodeError, match="leave fails: SystemExit: 0; see "):
        user_code.call("yourfailing.code:leave", {})
