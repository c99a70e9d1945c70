"""A throw-away repository in which benchmarks run the real stages.

It has a copy of the working tree's pipeline (with the kernels that are compiled already),
its own params.yaml, and prepared data; a user's configuration is not read.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from measuring import ROOT
from ruamel.yaml import YAML

from pipeline import presets
from pipeline.artifacts import files, paths
from pipeline.config import params
from pipeline.core.batches import Dataset
from pipeline.run.kept import places

BIN = Path(sys.executable).parent

Params = dict[str, Any]


def preset(name: str, **changes: object) -> Params:
    """A preset's params.yaml with changes: ``tasks__main__train__steps=1``."""
    settings: Params = params.parse_yaml(presets.text_of(name))
    for path, value in changes.items():
        *parents, last = path.split("__")
        place = settings
        for parent in parents:
            place = place[parent]
        place[last] = value
    return settings


def make(root: Path, settings: Params, data: Dataset | None = None) -> None:
    """Write the repository into a folder, with its plan and, if given, its data."""
    ignored = shutil.ignore_patterns("plan.json")
    shutil.copytree(ROOT / "pipeline", root / "pipeline", ignore=ignored)
    for name in ("dvc.yaml", ".dvcignore", ".gitignore", ".dvc/config"):
        (root / name).parent.mkdir(exist_ok=True)
        shutil.copyfile(ROOT / name, root / name)
    write_params(root, settings)
    if data is not None:
        name = settings["tasks"]["main"]["data"]
        files.save_dataset(root / paths.data_file(name), data)


def write_params(root: Path, settings: Params) -> None:
    """Replace params.yaml and plan anew."""
    with (root / "params.yaml").open("w", encoding="utf-8") as opened:
        YAML(typ="safe", pure=True).dump(settings, opened)
    run(root, python("pipeline.cli", "plan", "--force"))  # no dvc records what it trains


def python(module: str, *arguments: str) -> list[str]:
    """The command that DVC would run."""
    return [sys.executable, "-m", module, *arguments]


def run(root: Path, command: Sequence[str]) -> str:
    """Run a command that must succeed; returns what it printed.

    Trainings that were kept are forgotten first, since what trains is what is measured.

    Raises:
        RuntimeError: with that, if it fails.
    """
    files.remove(root / places.DEFAULT)
    done = subprocess.run(
        command,
        cwd=root,
        env=environment(root),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)} failed:\n{done.stdout}")
    return done.stdout


def begun(root: Path) -> subprocess.Popen[str]:
    """Begin ``lt-pipeline run``, whose lines the caller reads."""
    return subprocess.Popen(
        python("pipeline.cli", "run"),
        cwd=root,
        env=environment(root),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def environment(root: Path) -> Mapping[str, str]:
    """What commands see: no configuration of a user, no search for newer versions."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("MLFLOW", "DVC"))}
    kept.pop("PYTHONDONTWRITEBYTECODE", None)  # each stage would compile what it imports
    home = root.parent / f"{root.name}-home"
    return kept | {
        "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": "",
        "HOME": str(home),
        "XDG_CACHE_HOME": str(home / "cache"),
        "XDG_CONFIG_HOME": str(home / "config"),
        "MPLCONFIGDIR": str(home / "matplotlib"),
        "DVC_GLOBAL_CONFIG_DIR": str(home / "dvc"),
        "DVC_SYSTEM_CONFIG_DIR": str(home / "dvc"),
        "DVC_SITE_CACHE_DIR": str(home / "dvc-site"),
        "CI": "1",
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_AUTHOR_NAME": "benchmark",
        "GIT_AUTHOR_EMAIL": "benchmark@localhost",
        "GIT_COMMITTER_NAME": "benchmark",
        "GIT_COMMITTER_EMAIL": "benchmark@localhost",
        "OMP_NUM_THREADS": "1",
    }
