"""Errors that a user can solve are one line and an exit code; others are tracebacks."""

import pytest

from pipeline.border import exits
from pipeline.border.errors import UserError


def ended(error: BaseException) -> object:
    with pytest.raises(SystemExit) as caught, exits.one_line_errors():
        raise error
    return caught.value.code


def test_a_users_mistake_is_one_line_and_exit_code_2(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert ended(UserError("what is wrong;\n  what to do")) == 2
    assert capsys.readouterr() == ("", "lt-pipeline: what is wrong; what to do\n")


def test_ctrl_c_is_one_line_and_exit_code_130(capsys: pytest.CaptureFixture[str]) -> None:
    assert ended(KeyboardInterrupt()) == 130
    assert capsys.readouterr() == (
        "",
        "lt-pipeline: interrupted; `dvc repro` goes on where it was\n",
    )


def test_an_error_of_the_program_keeps_its_traceback() -> None:
    with pytest.raises(ZeroDivisionError), exits.one_line_errors():
        raise ZeroDivisionError
