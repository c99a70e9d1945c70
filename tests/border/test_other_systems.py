"""The program starts and works where Linux's own names and long paths' sockets are not."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from helpers.workspace import ROOT

WORK = """
from helpers.works import Says
from pipeline.run.executors import cores, processes
if __name__ == "__main__":
    processes.run_all([Says("done")], at_once=cores.available_cores(),
                      preload="helpers.works", watch=lambda told: print(told.text))
"""
HIDE = """
import multiprocessing, os, signal, sys
from pathlib import Path
sys.modules["fcntl"] = None
for module, name in ((os, "sched_getaffinity"), (os, "nice"), (signal, "SIGUSR1")):
    if hasattr(module, name):
        delattr(module, name)
multiprocessing.get_all_start_methods = lambda: ["spawn"]
is_dir, read_bytes = Path.is_dir, Path.read_bytes
Path.is_dir = lambda self: self != Path("/proc") and is_dir(self)
"""
STAGE = """
import os, pkgutil
os.environ["DVC_STAGE"] = "init@main"
from pipeline import border, run, stages, tracking
for package in (border, run, stages, tracking):
    for one in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
        __import__(one.name)
from pipeline.artifacts import files
from pipeline.run import instances
with instances.held("init@main"):
    files.save_json(Path("found.json"), {"a": 1})
print("stage")
"""


def said(folder: Path, program: str, **environment: str) -> list[str]:
    script = folder / "program.py"
    script.write_text(program)
    done = subprocess.run(
        [sys.executable, str(script)],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": f"{ROOT}:{ROOT / 'tests'}"} | environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.splitlines()


def test_a_system_without_what_only_linux_has_runs_stages_and_workers(tmp_path):
    (tmp_path / ".found.json.4194999.tmp").touch()
    assert said(tmp_path, HIDE + WORK) == ["done"]
    assert said(tmp_path, HIDE + STAGE) == ["stage"]
    assert [path.name for path in tmp_path.glob("*.tmp")] == []


def test_a_long_temporary_folder_leaves_room_for_sockets(tmp_path):
    long = tmp_path / ("x" * 100)
    long.mkdir()
    assert said(tmp_path, WORK, TMPDIR=str(long)) == ["done"]


@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
def test_a_terminal_without_a_character_shows_a_question_mark(tmp_path, encoding):
    program = """
from pipeline.border import exits
with exits.one_line_errors():
    print("θ₀ ⊙ m ≥ 1")
"""
    (line,) = said(tmp_path, program, PYTHONIOENCODING=encoding)
    assert line.isascii()
    assert line.endswith(" m ? 1")


@pytest.mark.parametrize("backend", ["module://matplotlib_inline.nowhere", "nonsense"])
def test_figures_ignore_the_backend_of_a_notebook(tmp_path, backend):
    program = "import pipeline.plots; import os; print(os.environ['MPLBACKEND'])"
    assert said(tmp_path, program, MPLBACKEND=backend) == [backend]
