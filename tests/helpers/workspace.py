"""A small experiment in a git repository of its own, driven by the real dvc.

``make`` copies the working tree's pipeline into a fresh folder; tests run dvc there with
the interpreter of the tests, and ask afterwards what was trained. Nothing outside the
temporary folders is read or written: home, caches and configurations are in there too.
"""

import compileall
import hashlib
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil
from ruamel.yaml import YAML

from pipeline.artifacts import files, paths
from pipeline.plan import fingerprints

ROOT = Path(__file__).parents[2]
COPIED = (
    "dvc.yaml",
    ".dvc/.gitignore",
    ".dvc/config",
    ".dvc/plots/rounds.json",
    ".dvcignore",
    ".gitignore",
)

PARAMS = """\
experiment: toy
rounds: 2
seeds: [0, 1]
workers: 2
data: {root: data, download: false}
tasks:
  main:
    data: digits
    model: {name: mlp, widths: [8], init: glorot-normal}
    train:
      steps: 4
      epochs: null
      batch_size: 32
      optimizer: sgd
      lr: 0.1
      momentum: 0.9
      weight_decay: 0.0
      schedule: {name: constant, milestones: [], gamma: 1.0, warmup_steps: 0}
      augment: none
      evaluate_every: 2
      test_cadence: improved
      common_noise: true
      engine: reference
      device: cpu
    compat: null
variants:
  ticket:
    tasks: [main]
    prune:
      mask: own
      transform: null
      schedule: iterative
      criterion: magnitude
      scope: layerwise
      fraction: {fc: 0.3, output: 0.15}
    rewind: {to: theta0, step: null, draw: null, pruned: zero}
  reinit:
    tasks: [main]
    prune:
      {mask: ticket, transform: null, schedule: null, criterion: null, scope: null,
       fraction: null}
    rewind: {to: reinit, step: null, draw: 0, pruned: zero}
analyses: {}
"""
"""small enough that a training takes no time beside starting its process"""

ONE_SHOT = {
    "tasks": ["main"],
    "prune": {
        "mask": "own",
        "transform": None,
        "schedule": "one-shot",
        "criterion": "magnitude",
        "scope": "layerwise",
        "fraction": {"fc": 0.3, "output": 0.15},
    },
    "rewind": {"to": "theta0", "step": None, "draw": None, "pruned": "zero"},
}
"""a variant more, for the tests that need one"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Ran:
    """How a command ended, and which dvc stages it executed."""

    code: int
    output: str
    executed: tuple[str, ...]
    """names of stages whose command was run; restored stages are not among them"""

    @property
    def trained(self) -> set[str]:
        """Those that train: ``main-s0-1``, ``main-k000002-s0-1``, ``main-ticket-r01-…``."""
        found = {name.partition("@") for name in self.executed}
        kinds = ("train", "early", "retrain", "copies")
        return {key for stage, _, key in found if stage in kinds}


@dataclass(frozen=True, kw_only=True, slots=True)
class Workspace:
    """One clone of the small experiment."""

    root: Path
    home: Path
    """caches and configurations; shared by the clones of one test run"""

    def run(self, *command: str, env: Mapping[str, str] | None = None) -> Ran:
        """Run a command to its end; ``python`` is the interpreter of the tests."""
        done = subprocess.run(
            command,
            cwd=self.root,
            env=environment(self.home) | dict(env or {}),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        executed = tuple(re.findall(r"^Running stage '(.+)':$", done.stdout, re.M))
        return Ran(code=done.returncode, output=done.stdout, executed=executed)

    def done(self, *command: str, env: Mapping[str, str] | None = None) -> Ran:
        """Run a command that must succeed."""
        ran = self.run(*command, env=env)
        assert ran.code == 0, ran.output
        return ran

    def repro(self, *targets: str) -> Ran:
        """``dvc repro`` of everything up to the results, or of these targets."""
        began = datetime.now(UTC)
        ran = self.done("python", "-m", "dvc", "repro", *(targets or ("results",)))
        # What dvc says it ran is what the timing files say was trained.
        assert self._timed_since(began) == ran.trained
        return ran

    def plan(self) -> None:
        """``lt-pipeline plan``."""
        self.done("python", "-m", "pipeline.cli", "plan")

    def edit(self, **changes: object) -> None:
        """Change params.yaml, ``tasks__main__train__lr=0.2``, and plan again."""
        params = self.params()
        for path, value in changes.items():
            *parents, last = path.split("__")
            place = params
            for parent in parents:
                place = place[parent]
            place[last] = value
        self.write_params(params)
        self.plan()

    def params(self) -> dict[str, Any]:
        """The settings as plain values."""
        value: dict[str, Any] = YAML(typ="safe", pure=True).load(
            (self.root / "params.yaml").read_text()
        )
        return value

    def write_params(self, params: dict[str, Any]) -> None:
        """Replace the settings."""
        with (self.root / "params.yaml").open("w") as opened:
            YAML(typ="safe", pure=True).dump(params, opened)

    def replace(self, path: str, old: str, new: str) -> None:
        """Edit one file of code."""
        file = self.root / path
        text = file.read_text()
        assert text.count(old) == 1, f"{path} has {old!r} {text.count(old)} times"
        file.write_text(text.replace(old, new))

    def commit(self, message: str) -> str:
        """Commit everything that git does not ignore; returns the commit."""
        self.done("git", "add", "--all")
        self.done("git", "commit", "--quiet", "--message", message)
        return self.done("git", "rev-parse", "HEAD").output.strip()

    def hashes(self) -> dict[str, str]:
        """Every artifact that the inputs determine, with the hash of its bytes."""
        base = self.root / paths.FOLDER
        left_out = ("timing", fingerprints.FOLDER.name)  # host and seconds; the inputs
        return {
            str(path.relative_to(base)): hashlib.sha256(path.read_bytes()).hexdigest()
            for path in sorted(base.rglob("*"))
            if path.is_file() and path.relative_to(base).parts[0] not in left_out
        }

    def trainings(self) -> set[str]:
        """The instances that have results."""
        base = self.root / paths.FOLDER / "results"
        return {_key(f.parent.relative_to(base)) for f in base.rglob("result.json")}

    def processes(self) -> list[psutil.Process]:
        """Everything that still works in this clone."""
        return [
            process
            for process in psutil.process_iter()
            if (folder := _folder_of(process)) and folder.is_relative_to(self.root)
        ]

    def _timed_since(self, began: datetime) -> set[str]:
        base = self.root / paths.FOLDER / "timing"
        return {
            _key(path.relative_to(base).with_suffix(""))
            for path in base.rglob("*.json")
            if datetime.fromisoformat(files.load_json(path)["started"]) >= began
        }


def make(root: Path, home: Path, params: str = PARAMS) -> Workspace:
    """A fresh repository with the working tree's pipeline, planned and committed."""
    workspace = Workspace(root=root, home=home)
    # Compiled files are copied along, since every fresh clone takes seconds to make them.
    compileall.compile_dir(ROOT / "pipeline", quiet=2)
    ignored = shutil.ignore_patterns("plan.json")
    shutil.copytree(ROOT / "pipeline", root / "pipeline", ignore=ignored)
    for name in COPIED:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / name, root / name)
    (root / "params.yaml").write_text(params)
    workspace.done("git", "init", "--quiet", "--initial-branch", "main")
    workspace.plan()
    workspace.commit("the experiment")
    return workspace


def copy(workspace: Workspace, root: Path) -> Workspace:
    """The same repository somewhere else, DVC's cache included."""
    shutil.copytree(workspace.root, root, symlinks=True)
    return Workspace(root=root, home=workspace.home)


def environment(home: Path) -> dict[str, str]:
    """What commands see: no user's configuration, no network, one thread."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("MLFLOW", "DVC"))}
    for name in ("LT_DATA_ROOT", "PYTHONPATH", "PYTHONDONTWRITEBYTECODE"):
        kept.pop(name, None)
    bin_folder = str(Path(sys.executable).parent)
    return kept | {
        "PATH": f"{bin_folder}{os.pathsep}{os.environ['PATH']}",
        "HOME": str(home),
        "XDG_CACHE_HOME": str(home / "cache"),
        "XDG_CONFIG_HOME": str(home / "config"),
        "MPLCONFIGDIR": str(home / "matplotlib"),
        "DVC_GLOBAL_CONFIG_DIR": str(home / "dvc"),
        "DVC_SYSTEM_CONFIG_DIR": str(home / "dvc"),
        "DVC_SITE_CACHE_DIR": str(home / "dvc-site"),
        "LT_LIVE_TRACKING": "off",
        "CI": "1",  # dvc asks no server for a newer version
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_AUTHOR_NAME": "test",
        "GIT_AUTHOR_EMAIL": "test@localhost",
        "GIT_COMMITTER_NAME": "test",
        "GIT_COMMITTER_EMAIL": "test@localhost",
        "OMP_NUM_THREADS": "1",
    }


def _key(path: Path) -> str:
    """The dvc instance that wrote below this path."""
    key = str(path).replace("/", "-")
    return key.replace("-dense-r00", "").replace("-early-k", "-k")


def _folder_of(process: psutil.Process) -> Path | None:
    try:
        return Path(process.cwd())
    except psutil.Error:
        return None
