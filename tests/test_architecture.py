"""dvc.yaml names the code that a stage runs; --help is quick; the README is complete.

An edit must make stale exactly what it may change. So a stage's code deps are compared
with the import closure of its file inside the core. What a registry imports on use (a
model, a criterion, an engine) is one file, or a package of its own, and enters dvc.yaml
by interpolation; whatever else it imports must be among the deps of every stage that
may use it.
"""

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import typer
from import_closure import PACKAGES, ROOT, import_closure
from ruamel.yaml import YAML
from typer.testing import CliRunner
from workspace import Workspace

from pipeline import cli
from pipeline.core import criteria, models, starts, training, transforms

DVC: dict[str, Any] = YAML(typ="safe", pure=True).load((ROOT / "dvc.yaml").read_text())
STAGES = {name: stage.get("do", stage) for name, stage in DVC["stages"].items()}
ADAPTERS = {
    "data": {"pipeline/datasets.py", "pipeline/dataset_facts.py"},
    "train": {"pipeline/rounds.py", "pipeline/trainings.py"},
    "early": {"pipeline/trainings.py"},
    "copies": {"pipeline/trainings.py"},
    "lines": {"pipeline/lines.py"},
    "retrain": {"pipeline/expected.py", "pipeline/rounds.py", "pipeline/trainings.py"},
    "rewind": {"pipeline/rewind_sources.py"},
    "results": {"pipeline/tables.py", "pipeline/costs.py", "pipeline/dataset_facts.py"},
}
"""files outside the core that decide what a stage makes"""
VIEWS = {"plan", "track"}
"""stages whose code is no dep: their outs are no results, and they run when data change"""
HEAVY = ("torch", "torchvision", "mlflow", "numba", "sklearn", "matplotlib", "pyarrow")
COMMANDS = typer.main.get_command(cli.app)


@dataclass(frozen=True, kw_only=True, slots=True)
class Registry:
    """Names whose modules are imported on use."""

    folder: str
    names: tuple[str, ...]
    file_of: Callable[[str], str]
    dep: str
    """how the file stands in dvc.yaml"""
    stages: frozenset[str]
    """which stages use it"""


REGISTRIES = {
    "models": Registry(
        folder="pipeline/core/models",
        names=tuple(models.MODELS),
        file_of=models.file_of,
        dep="pipeline/core/models/${item.model_file}",
        stages=frozenset(
            {"init", "train", "early", "prune", "rewind", "retrain", "copies", "lines"}
        ),
    ),
    "engines": Registry(
        folder="pipeline/core/training",
        names=tuple(training.ENGINES),
        file_of=training.file_of,
        dep="pipeline/core/training/${item.engine_file}",
        stages=frozenset({"train", "early", "retrain", "copies"}),
    ),
    "criteria": Registry(
        folder="pipeline/core/criteria",
        names=tuple(criteria.CRITERIA),
        file_of=criteria.file_of,
        dep="${item.method_file}",
        stages=frozenset({"prune"}),
    ),
    "starts": Registry(
        folder="pipeline/core/starts",
        names=tuple(starts.STARTS),
        file_of=starts.file_of,
        dep="pipeline/core/starts/${item.start_file}",
        stages=frozenset({"rewind"}),
    ),
    "transforms": Registry(
        folder="pipeline/core/transforms",
        names=tuple(transforms.TRANSFORMS),
        file_of=transforms.file_of,
        dep="${item.method_file}",
        stages=frozenset({"prune"}),
    ),
}


@pytest.mark.parametrize("stage", sorted(STAGES.keys() - VIEWS))
def test_the_code_deps_of_a_stage_are_exactly_the_code_it_runs(stage: str) -> None:
    own = ADAPTERS.get(stage, set())
    start = f"pipeline/stages/{stage}.py"
    expected = {start} | own | import_closure(Path(start), follow=frozenset(own))
    for registry in REGISTRIES.values():
        if stage in registry.stages:
            expected |= {file for name in registry.names for file in shared(registry, name)}
    assert listed(stage) == expected


@pytest.mark.parametrize("name", REGISTRIES)
def test_what_is_imported_on_use_is_a_dep_of_the_stages_that_use_it(name: str) -> None:
    registry = REGISTRIES[name]
    using = {stage for stage in STAGES if registry.dep in STAGES[stage]["deps"]}
    assert using == registry.stages


@pytest.mark.parametrize(
    ("registry", "name"),
    [(key, name) for key, registry in REGISTRIES.items() for name in registry.names],
)
def test_an_entry_of_a_registry_is_one_file_or_a_package(registry: str, name: str) -> None:
    found = REGISTRIES[registry]
    assert own_files(found, name)
    siblings = shared(found, name)
    for other in found.names:
        assert not siblings & own_files(found, other), f"{name} imports {other}"


@pytest.mark.parametrize("engine", training.ENGINES)
def test_an_engine_shares_only_what_every_training_uses(engine: str) -> None:
    """Else an edit of one engine's helper would train the others' results again."""
    used = shared(REGISTRIES["engines"], engine)
    inside = {file for file in used if file.startswith("pipeline/core/training/")}
    other = set(training.ENGINES) - {engine}
    for file in inside:
        users = [o for o in other if file in shared(REGISTRIES["engines"], o)]
        assert users, f"only {engine} uses {file}: put both into a package of their own"


def test_views_have_no_code_deps() -> None:
    assert {stage: listed(stage) for stage in VIEWS} == {stage: set() for stage in VIEWS}


def test_every_stage_runs_a_module_of_that_name() -> None:
    for name, stage in STAGES.items():
        assert stage["cmd"].split()[:3] == ["python", "-m", f"pipeline.stages.{name}"]
        assert (ROOT / f"pipeline/stages/{name}.py").is_file()


def test_help_imports_nothing_heavy() -> None:
    for arguments in ([], *([name] for name in COMMANDS.commands)):
        assert heavy_imports(f"sys.argv[1:] = {[*arguments, '--help']}; cli.main()") == []


def test_stage_modules_import_nothing_heavy() -> None:
    names = ", ".join(sorted(STAGES.keys() - {"track"}))
    allowed = {"pyarrow"}  # the learning curves' format
    assert set(heavy_imports(f"from pipeline.stages import {names}")) <= allowed


@pytest.mark.parametrize("stage", ["init", "prune", "rewind"])
def test_stages_that_need_no_gradients_run_without_torch(
    workspace: Workspace, stage: str
) -> None:
    arguments = ["main", "0,1"] if stage == "init" else ["main", "ticket", "1", "0,1"]
    code = (
        "import runpy, sys; "
        f"sys.argv[1:] = {arguments}; "
        f"runpy.run_module('pipeline.stages.{stage}', run_name='__main__'); "
        "sys.exit('torch' in sys.modules or 'mlflow' in sys.modules)"
    )
    workspace.done("python", "-c", code)


@pytest.mark.parametrize("name", sorted(COMMANDS.commands))
def test_every_command_ends_its_help_with_an_example(name: str) -> None:
    text = CliRunner().invoke(cli.app, [name, "--help"]).output.strip()
    assert text.splitlines()[-1].strip().startswith(f"Example: lt-pipeline {name}")


@pytest.mark.parametrize("name", sorted(COMMANDS.commands))
def test_the_readme_names_every_command(name: str) -> None:
    assert f"lt-pipeline {name}" in (ROOT / "README.md").read_text(encoding="utf-8")


def listed(stage: str) -> set[str]:
    """Files of code that dvc.yaml names in full."""
    return {d for d in STAGES[stage]["deps"] if d.endswith(".py") and "$" not in d}


def own_files(registry: Registry, name: str) -> set[str]:
    """The file of an entry, or all files of its package."""
    path = ROOT / registry.folder / registry.file_of(name)
    files = sorted(path.rglob("*.py")) if path.is_dir() else [path]
    return {str(file.relative_to(ROOT)) for file in files if file.is_file()}


def shared(registry: Registry, name: str) -> set[str]:
    """What an entry imports of the core beside its own files."""
    own = own_files(registry, name)
    imported = {f for file in own for f in import_closure(Path(file))}
    return imported - own - PACKAGES


def heavy_imports(code: str) -> list[str]:
    """Which heavy packages a fresh interpreter has loaded after some code."""
    lines = (
        "import json, sys",
        "from pipeline import cli",
        "try:",
        f"    {code}",
        "except SystemExit:",
        "    pass",
        f"print(); print(json.dumps([n for n in {HEAVY} if n in sys.modules]))",
    )
    done = subprocess.run(
        [sys.executable, "-c", "\n".join(lines)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found: list[str] = json.loads(done.stdout.splitlines()[-1])
    return found
