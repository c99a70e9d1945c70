"""A Ctrl-C under our dvc is one line, and a run with nothing to do says what there is."""

import logging
import signal
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
    yield
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


def test_an_interrupt_between_two_stages_is_our_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    as_dvc(monkeypatch, logs(KeyboardInterrupt(), 252))
    assert launched.main(["repro"]) == 130
    assert capsys.readouterr().err == f"{interrupts.LINE}\n"


def test_keep_going_does_not_go_on_after_an_interrupt(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def does() -> int:
        logging.getLogger("dvc.repo.reproduce").warning("%s%s", failed(130), "")
        return 0

    as_dvc(monkeypatch, does)
    with pytest.raises(KeyboardInterrupt):
        launched.main(["repro", "--keep-going"])


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


def test_ctrl_c_is_python_s_again_when_dvc_works(monkeypatch: pytest.MonkeyPatch) -> None:
    found: list[object] = []

    def does() -> int:
        found.append(signal.getsignal(signal.SIGINT))
        return 0

    before = signal.getsignal(signal.SIGINT)
    as_dvc(monkeypatch, does)
    assert launched.main(["status"]) == 0
    assert found == [before]


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
