"""Errors that a user can solve are one line and an exit code; others are tracebacks."""

import errno

import pytest
import typer

from pipeline.border import exits, interrupts
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
        "lt-pipeline: interrupted; `lt-pipeline run` goes on where it was\n",
    )


def test_what_a_library_makes_of_ctrl_c_is_that_line(
    capsys: pytest.CaptureFixture[str],
) -> None:
    def tidies_up() -> None:
        try:
            raise KeyboardInterrupt
        finally:
            raise AttributeError("'NoneType' object has no attribute")

    with pytest.raises(SystemExit) as caught, exits.one_line_errors():
        tidies_up()
    assert caught.value.code == 130
    assert capsys.readouterr() == ("", f"{interrupts.LINE}\n")


def test_a_fault_of_the_program_keeps_its_traceback_and_asks_for_a_report() -> None:
    with pytest.raises(ZeroDivisionError) as caught, exits.one_line_errors():
        raise ZeroDivisionError
    assert caught.value.__notes__ == [exits.REPORT]


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (
            OSError(errno.ENOSPC, "No space left on device", "a.lock"),
            "a.lock: No space left on device; free some space and run it again; what is "
            "finished stays",
        ),
        (
            PermissionError(errno.EACCES, "Permission denied", "params.yaml"),
            "params.yaml: Permission denied; check who may write there",
        ),
        (FileNotFoundError(errno.ENOENT, "No such file", "git"), "git: No such file"),
        (TimeoutError(), "TimeoutError"),
        (
            MemoryError("Unable to allocate 4 TiB"),
            "the machine or its device failed (Unable to allocate 4 TiB); free memory, or "
            "set fewer `workers` or a smaller model, and run it again",
        ),
    ],
)
def test_what_the_machine_refuses_is_one_line(
    error: Exception, line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ended(error) == 2
    assert capsys.readouterr() == ("", f"lt-pipeline: {line}\n")


def test_the_end_of_a_command_is_no_fault() -> None:
    with pytest.raises(typer.Exit) as caught, exits.one_line_errors():
        raise typer.Exit(1)
    assert not hasattr(caught.value, "__notes__")
