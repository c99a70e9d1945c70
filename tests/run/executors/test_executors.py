"""Executors are chosen by name; what is wrong with a choice is one line."""

import sys
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from multiprocessing import connection
from pathlib import Path
from pickle import dumps

import pytest
from helpers.works import Fails, Says

from pipeline.border import exits
from pipeline.border.errors import UserError
from pipeline.config.settings import Resources
from pipeline.run import executors
from pipeline.run.executors import EXECUTORS, ExecutorError, parcels, slurm
from pipeline.run.executors.executor import Ended
from pipeline.run.executors.mailbox import Mailbox
from pipeline.run.executors.portable import Parcel
from pipeline.run.executors.processes import Notice, Tell
from pipeline.walk import driver


@pytest.mark.parametrize(
    ("on", "line"),
    [
        ("slrm", "--on: unknown executor: slrm; did you mean slurm? (known: processes, "),
        (
            "ra",
            "--on: unknown executor: ra; did you mean ray? (known: processes, ray, slurm)",
        ),
        ("processes://here", "--on processes://here: processes takes no address; write --"),
        ("slurm://cpu", "--on slurm://cpu: slurm takes no address; write --on slurm"),
        ("ray://", "--on ray://: an address has a host and the number of a port; write "),
        ("ray://host", "--on ray://host: an address has a host and the number of a port"),
        ("ray://:10001", "--on ray://:10001: an address has a host and the number of a "),
        ("ray://host:head", "--on ray://host:head: an address has a host and the number "),
    ],
)
def test_what_is_no_executor_is_refused(on: str, line: str) -> None:
    with pytest.raises(ExecutorError) as caught:
        driver.refuse(on, [])
    assert str(caught.value).startswith(line)


@pytest.mark.parametrize("name", [n for n, one in EXECUTORS.items() if not one.is_here])
def test_what_is_not_installed_is_named(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(executors, "find_spec", lambda _: None)
    with pytest.raises(
        ExecutorError, match=rf"pip install '/path/to/lt-pipeline\[{name}\]'"
    ):
        driver.refuse(name, [])


def test_other_machines_train_for_the_whole_plan(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(executors, "find_spec", lambda _: True)
    driver.refuse("slurm", ["--keep-going"])
    with pytest.raises(
        ExecutorError, match="--on slurm: other machines train for the whole"
    ):
        driver.refuse("slurm", ["retrain"])
    driver.refuse("processes", ["retrain"])


def test_a_mailbox_can_be_read_while_there_is_something_in_it() -> None:
    box = Mailbox()
    assert not connection.wait([box.channel], timeout=0)
    box.put(("a", Notice("one")), ("a", Ended()))
    box.put(("b", Ended()))
    assert connection.wait([box.channel], timeout=0) == [box.channel]
    assert list(box.take()) == [("a", Notice("one")), ("a", Ended()), ("b", Ended())]
    assert not connection.wait([box.channel], timeout=0)
    box.close()


def test_a_job_of_slurm_tells_what_it_was_told_and_how_it_ended() -> None:
    assert slurm.Job(name="a", work=dumps(Says("x")))() == [
        ("a", Notice("x")),
        ("a", Ended()),
    ]
    failed = slurm.Job(name="a", work=dumps(Fails(UserError("no such file"))))
    assert failed() == [("a", Ended("no such file"))]


def test_a_job_of_slurm_finds_what_lies_in_its_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A rule of the user's in its work is of a module that no installed path leads to."""
    (tmp_path / "farrules.py").write_text(
        "class Rule:\n    def run(self, report, stop):\n        raise ValueError('found')\n"
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    job = slurm.Job(name="a", work=dumps(import_module("farrules").Rule()))
    monkeypatch.delitem(sys.modules, "farrules")
    sys.path.remove(str(tmp_path))
    assert job()[-1] == ("a", Ended("ValueError: found"))


def test_a_fault_on_another_machine_is_told_whole_without_secrets(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Nobody reads what it writes to its stderr."""
    error = ValueError("fc1 of s3://me:secret@host/a\nhas another shape")
    notice, (_, ended) = slurm.Job(name="a", work=dumps(Fails(error)))()
    assert ended == Ended("ValueError: fc1 of s3://me:***@host/a has another shape")
    assert isinstance(told := notice[1], Notice)
    assert told.text.startswith("Traceback (most recent call last):")
    assert told.text.endswith(f"{exits.REPORT}\n")
    assert "secret" not in told.text
    assert capsys.readouterr().err == ""


_RULE = 22 * "-"


@pytest.mark.parametrize(
    ("said", "why"),
    [
        (
            "Job 1 (task: 0) with path /a/1_0_result.pkl\n"
            "has not produced any output (state: OUT_OF_MEMORY)\n"
            "No output/error stream produced ! Check: /a/1_0_log.out",
            "OUT_OF_MEMORY",
        ),
        (
            "Job 1 (task: 0) with path /a/1_0_result.pkl\n"
            "has not produced any output (state: FAILED)\n"
            f"Error stream produced:\n{40 * '-'}\nTraceback:\n  x\nImportError: no a\n",
            "FAILED: ImportError: no a",
        ),
        (
            f"Job (task=0) failed during processing with trace:\n{_RULE}\nTraceback:\n"
            f"KeyError: 'a'\n\n{_RULE}\nYou can check full logs with 'job.stderr(0)'",
            "KeyError: 'a'",
        ),
        ("no such job", "no such job"),
    ],
)
def test_a_job_without_a_result_says_why(said: str, why: str) -> None:
    assert slurm._why(RuntimeError(said)) == why


def test_slurm_shares_no_gpu_among_jobs() -> None:
    asked = slurm._asked(Resources(cpus=2, gpus=0.25, memory_gb=3.0))
    assert (asked["cpus_per_task"], asked["gpus_per_node"], asked["mem_gb"]) == (2, 1, 3)


@dataclass(frozen=True)
class Copies:
    """Work that copies what it reads."""

    def run(self, report: Tell, _stop: Callable[[], bool]) -> None:
        """Copy."""
        Path("left/below").mkdir(parents=True)
        Path("left/below/b").write_bytes(
            Path("in/own").read_bytes() + Path("in/data").read_bytes()
        )
        Path("other").touch()
        report(Notice("copied"))


def test_a_parcel_is_done_in_a_folder_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data").write_bytes(b"2")
    parcel = Parcel(
        work=Copies(),
        shared=(Path("in/data"),),
        files={Path("in/own"): b"1"},
        leaves=Path("left"),
    )
    said: list[object] = []
    left = parcels.do(parcel, {Path("in/data"): tmp_path / "data"}, said.append)
    assert left == {Path("left/below/b"): b"12"}
    assert said == [Notice("copied")]
    assert Path.cwd() == tmp_path
    assert sorted(tmp_path.iterdir()) == [tmp_path / "data"]


def test_a_shared_file_is_read_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parcels, "_cache", lambda: tmp_path)
    content, reads = b"data", []
    for _ in range(2):
        path = parcels.shared_file(
            parcels.digest_of(content), lambda: reads.append(1) or content
        )
        assert path.read_bytes() == content
    assert len(reads) == 1


def test_a_machine_with_other_code_is_told_apart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = parcels.identity()
    assert parcels.differences(here, parcels.identity()) == ""
    (tmp_path / "pipeline/core").mkdir(parents=True)
    (tmp_path / "pipeline/cli.py").touch()
    monkeypatch.setattr(parcels, "code_root", lambda _: tmp_path)
    other = parcels.identity()
    assert parcels.differences(here, other).startswith("lt-pipeline 0.1.0 (")
