"""A Ctrl-C under our dvc is one line, and a run with nothing to do says what there is."""

import getpass
import logging
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import dvc.cli
import pytest
from dvc.exceptions import ReproductionError
from dvc.stage.exceptions import StageCmdFailedError

from pipeline.artifacts import paths
from pipeline.border import interrupts
from pipeline.launch import dvc as launched

COMMAND = "python -m pipeline.stages.train main-s0"


@pytest.fixture(autouse=True)
def _log_and_signals_as_before() -> Iterator[None]:
    handlers = logging.getLogger("dvc").handlers
    filters = {handler: list(handler.filters) for handler in handlers}
    of_signal, hook = signal.getsignal(signal.SIGINT), sys.unraisablehook
    signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, of_signal)
    sys.unraisablehook = hook
    for handler, before in filters.items():
        handler.filters[:] = before


def failed(status: int) -> ReproductionError:
    """What DVC raises of a stage that ended with this status."""
    error = ReproductionError("failed to reproduce 'train@main-s0'")
    error.__cause__ = StageCmdFailedError(COMMAND, status)
    return error


def as_dvc(monkeypatch: pytest.MonkeyPatch, does: Callable[[], int]) -> None:
    """Let dvc's own main do this."""

    def main(_: list[str]) -> int:
        return does()

    monkeypatch.setattr(dvc.cli, "main", main)


def logs(error: BaseException, code: int) -> Callable[[], int]:
    def does() -> int:
        logging.getLogger("dvc.cli").error("", exc_info=error)
        return code

    return does


@pytest.mark.parametrize("status", [130, -2])
def test_dvc_says_nothing_of_a_stage_that_was_interrupted(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], status: int
) -> None:
    as_dvc(monkeypatch, logs(failed(status), 255))
    assert launched.main(["repro"]) == 130
    assert capsys.readouterr() == ("", "")


def test_an_interrupt_between_two_stages_is_our_line_at_once(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    said: list[str] = []

    def does() -> int:
        try:
            signal.raise_signal(signal.SIGINT)
        except KeyboardInterrupt as error:
            said.append(capsys.readouterr().err)
            log = logging.getLogger("dvc.cli")
            log.exception("interrupted by the user")
            log.exception("unexpected error", exc_info=FileNotFoundError(str(error)))
        return 252

    as_dvc(monkeypatch, does)
    assert launched.main(["repro"]) == 130
    assert said == [f"{interrupts.LINE}\n"]
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize("then", [None, NameError("half imported")])
def test_an_interrupt_where_dvc_expects_none_is_no_traceback(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    then: Exception | None,
) -> None:
    def does() -> int:
        try:
            signal.raise_signal(signal.SIGINT)
        finally:
            if then:
                raise then
        return 0

    as_dvc(monkeypatch, does)
    assert launched.main(["exp", "run"]) == 130
    assert capsys.readouterr() == ("", f"{interrupts.LINE}\n")


def test_an_interrupt_that_python_ignores_comes_again(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class Ends:
        def __del__(self) -> None:
            signal.raise_signal(signal.SIGINT)

    def does() -> int:
        Ends()
        time.sleep(5)
        return 0

    as_dvc(monkeypatch, does)
    began = time.monotonic()
    assert launched.main(["repro"]) == 130
    assert time.monotonic() - began < 4
    assert capsys.readouterr() == ("", f"{interrupts.LINE}\n")


def test_keep_going_does_not_go_on_after_an_interrupt(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def does() -> int:
        logging.getLogger("dvc.repo.reproduce").warning("%s%s", failed(130), "")
        went_on.append(True)
        return 0

    went_on: list[bool] = []
    as_dvc(monkeypatch, does)
    assert launched.main(["repro", "--keep-going"]) == 130
    assert went_on == []


def test_other_failures_are_dvcs_to_tell(monkeypatch: pytest.MonkeyPatch) -> None:
    as_dvc(monkeypatch, logs(failed(2), 255))
    assert launched.main(["repro"]) == 255
    record = logging.LogRecord("dvc.cli", logging.ERROR, "", 0, "", None, None)
    told = launched.Interrupts()
    for status in (1, 2, 230, None):
        error = failed(status)  # type: ignore[arg-type]
        record.exc_info = (type(error), error, None)
        assert told.filter(record)
    assert not told.interrupted


def test_other_errors_of_dvc_keep_their_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    def does() -> int:
        raise NameError

    as_dvc(monkeypatch, does)
    with pytest.raises(NameError):
        launched.main(["repro"])


def test_dvc_is_told_a_name_where_the_system_knows_none(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("LOGNAME", "USER", "LNAME", "USERNAME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("pwd.getpwuid", {}.__getitem__)
    monkeypatch.setattr("os.getuid", lambda: 4711)
    as_dvc(monkeypatch, lambda: int(getpass.getuser() != "4711"))
    assert launched.main(["repro"]) == 0


def test_in_the_background_ctrl_c_stays_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    def does() -> int:
        signal.raise_signal(signal.SIGINT)
        return 7

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    as_dvc(monkeypatch, does)
    assert launched.main(["status"]) == 7


@pytest.fixture
def outcome(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What an earlier run said at its end."""
    monkeypatch.chdir(tmp_path)
    paths.OUTCOME.parent.mkdir()
    paths.OUTCOME.write_text("the table\n")
    return paths.OUTCOME


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["repro"], "the table\n"),
        (["repro", "--force-downstream"], "the table\n"),
        (["repro", "retrain"], ""),
        (["repro", "--dry"], ""),
        (["exp", "run"], ""),
    ],
)
def test_a_run_with_nothing_to_do_says_what_the_last_one_gave(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    outcome: Path,
    arguments: list[str],
    said: str,
) -> None:
    as_dvc(monkeypatch, lambda: 0)
    assert launched.main(arguments) == 0
    assert capsys.readouterr().err == said


def test_a_run_that_tracked_has_said_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], outcome: Path
) -> None:
    def tracks() -> int:
        outcome.unlink()
        outcome.write_text("another table\n")
        return 0

    as_dvc(monkeypatch, tracks)
    assert launched.main(["repro"]) == 0
    as_dvc(monkeypatch, lambda: 255)
    assert launched.main(["repro"]) == 255
    assert capsys.readouterr().err == ""
