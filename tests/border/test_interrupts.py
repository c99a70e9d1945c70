"""Ctrl-C while a program imports is one line, and where it works it is an exception."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.border import interrupts

ROOT = Path(__file__).parents[2]
INTERRUPT = "import os, signal; os.kill(os.getpid(), signal.SIGINT)"


@pytest.fixture(autouse=True)
def _as_in_a_terminal() -> Iterator[None]:
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def ended(code: str) -> tuple[int, str]:
    """Exit code and errors of a program, which Ctrl-C reaches as in a terminal."""
    text = (
        f"import signal; signal.signal(signal.SIGINT, signal.default_int_handler)\n{code}"
    )
    done = subprocess.run(
        [sys.executable, "-c", text],
        check=False,
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    return done.returncode, done.stderr


def test_an_interrupt_while_importing_is_one_line() -> None:
    code = f"from pipeline.border import interrupts as i; i.end_in_one_line(); {INTERRUPT}"
    assert ended(code) == (130, f"{interrupts.LINE}\n")


def test_one_that_was_held_back_comes_when_it_may() -> None:
    code = (
        f"from pipeline.border import interrupts as i; i.hold_back(); {INTERRUPT}; "
        "i.end_in_one_line(); print('held', file=__import__('sys').stderr); i.let_through()"
    )
    assert ended(code) == (130, f"held\n{interrupts.LINE}\n")


def test_a_program_that_is_waited_for_starts_with_it_held_back() -> None:
    child = f"{INTERRUPT}; print('started')"  # which never lets it through
    with interrupts.left_to_others():
        done = subprocess.run(
            [sys.executable, "-c", child], check=False, capture_output=True, text=True
        )
        signal.raise_signal(signal.SIGINT)
    assert (done.returncode, done.stdout, done.stderr) == (0, "started\n", "")


def test_the_work_itself_gets_an_exception() -> None:
    interrupts.end_in_one_line()
    around = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt), interrupts.raised():
        signal.raise_signal(signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is around


def test_a_program_in_the_background_ignores_it_further_on() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    interrupts.end_in_one_line()
    with interrupts.raised():
        signal.raise_signal(signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) == signal.SIG_IGN


@pytest.mark.parametrize("usual", [signal.SIG_IGN, signal.SIG_DFL])
def test_the_end_of_the_terminal_is_left_to_a_program_that_is_waited_for(
    usual: signal.Handlers,
) -> None:
    """It has it ignored where this one has, as under nohup."""
    child = "import signal; print(signal.getsignal(signal.SIGHUP) == signal.SIG_IGN)"
    before = signal.signal(signal.SIGHUP, usual)
    try:
        with interrupts.left_to_others():
            signal.raise_signal(signal.SIGHUP)
            done = subprocess.run(
                [sys.executable, "-c", child], check=False, capture_output=True, text=True
            )
        assert signal.getsignal(signal.SIGHUP) == usual
    finally:
        signal.signal(signal.SIGHUP, before)
    assert done.stdout == f"{usual == signal.SIG_IGN}\n"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_other_ends_come_as_ctrl_c_where_work_must_be_stopped(
    number: signal.Signals,
) -> None:
    before = signal.signal(number, signal.SIG_DFL)  # CI may run under nohup
    try:
        with pytest.raises(KeyboardInterrupt), interrupts.as_ctrl_c():
            signal.raise_signal(number)
        assert signal.getsignal(number) == signal.SIG_DFL
    finally:
        signal.signal(number, before)


def test_the_end_of_the_terminal_is_ignored_under_nohup() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with interrupts.as_ctrl_c():
            signal.raise_signal(signal.SIGHUP)
    finally:
        signal.signal(signal.SIGHUP, before)
