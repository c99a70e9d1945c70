"""One process at a time works on a stage instance; a second one waits for its end."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from helpers.workspace import ROOT

from pipeline.config import params
from pipeline.plan import compiler, fingerprints, plan_file
from pipeline.run import instances

HOLDER = (
    "import sys; from pathlib import Path; from pipeline.run import instances\n"
    "with instances.held('train@main-s0-1', Path(sys.argv[1])):\n"
    "    print('held', flush=True); sys.stdin.read()\n"
    "    print('done', flush=True)\n"
)


def holder(folder: Path) -> "subprocess.Popen[str]":
    """A process that holds a lock until its input ends."""
    return subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(folder)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_a_second_process_waits_for_the_first_and_says_for_whom(tmp_path: Path) -> None:
    first, second = holder(tmp_path), None
    try:
        assert first.stdout is not None
        assert first.stdout.readline() == "held\n"
        second = holder(tmp_path)
        assert second.stderr is not None
        assert second.stdout is not None
        assert second.stderr.readline() == (
            f"train@main-s0-1: process {first.pid} still works on it; waiting for its end\n"
        )
        with instances.held("train@main-s2", tmp_path):
            pass  # another instance
        first.kill()
        assert second.stdout.readline() == "held\n"
        assert second.communicate(timeout=60) == ("done\n", "")
    finally:
        for process in (first, second):
            if process is not None:
                process.kill()
                process.communicate()


def test_an_instance_refuses_settings_that_changed_after_the_run_began(
    experiment_root: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    current = plan_file.check(params.load())
    fingerprints.write(compiler.inputs_of(current), params.resolved())
    monkeypatch.setattr(sys, "argv", ["train", "main-s0-1"])
    done: list[str] = []
    instances.run_keyed("init", done.append)
    text = (experiment_root / "params.yaml").read_text()
    (experiment_root / "params.yaml").write_text(
        text.replace('"widths": [8]', '"widths": [9]')
    )
    with pytest.raises(SystemExit) as ended:
        instances.run_keyed("init", done.append)
    assert ended.value.code == 2
    assert "init@main-s0-1: tasks.main.model changed after" in capsys.readouterr().err
    assert done == ["main-s0-1"]


def test_a_lock_can_be_taken_again_and_names_its_last_holder(tmp_path: Path) -> None:
    for _ in range(2):
        with instances.held("plan", tmp_path):
            pass
    assert [path.name for path in tmp_path.iterdir()] == ["plan.lock"]
    assert (tmp_path / "plan.lock").read_text() == str(os.getpid())


@pytest.mark.parametrize("stage", ["train@../x", "train@a/b"])
def test_a_lock_lies_in_its_folder_whatever_the_key(tmp_path: Path, stage: str) -> None:
    with instances.held(stage, tmp_path / "locks"):
        pass
    assert [path.name for path in tmp_path.iterdir()] == ["locks"]
