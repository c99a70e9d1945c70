"""DVC sees the code that a stage runs; --help is quick; the README is complete.

An edit must make stale exactly what it may change. So every stage depends on a file of
hashes of the code it imports (``pipeline/plan/fingerprints.py``), and ``plan``, which
writes them, on all of this code. What a registry imports on use (a model, a criterion, an
engine) is one file, or a package of its own, and stands in the name of the file of hashes.
"""

import ast
import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import typer
from helpers.experiment import APPROXIMATION, INSTABILITY, raw, settings
from helpers.registries import NAMES
from helpers.workspace import ROOT, Workspace
from ruamel.yaml import YAML
from typer.testing import CliRunner

from pipeline import cli, engines
from pipeline.config.mask_from import MaskFrom
from pipeline.core.policies import RECIPE
from pipeline.data.own.source import Source
from pipeline.plan import compiler, fingerprints, items
from pipeline.plan.kinds import KINDS

DVC: dict[str, Any] = YAML(typ="safe", pure=True).load((ROOT / "dvc.yaml").read_text())
STAGES = {name: stage.get("do", stage) for name, stage in DVC["stages"].items()}
INSTANCES = KINDS.keys()
"""stages with instances in the plan; the code of the view ``track`` is no dep"""
VIEWS = {Path("pipeline/stages/plan.py"), Path("pipeline/stages/track.py")}
LOOKED_UP = {stage: {"starts"} for stage in ("train", "early", "retrain", "copies")} | {
    "prune": {"policies"},
    "lines": {"augmentations", "measures"},
    "pooled": {"augmentations", "measures"},
    "approximations": {"augmentations", "measures"},
    "results": {"augmentations", "measures", "models", "policies", "starts"},
}
"""registries of which a stage reads a record, and imports no module; ``results`` counts
on networks, and one that changes makes its own results stale"""
BUILT_IN = {"optimizers"}
"""registries of which no recipe here names an entry that is a file: torch has the others"""
HEAVY = ("torch", "torchvision", "mlflow", "numba", "sklearn", "matplotlib", "pyarrow")
COMMANDS = typer.main.get_command(cli.app)


@pytest.mark.parametrize("stage", sorted(INSTANCES))
def test_an_instance_depends_on_the_hashes_of_its_stages_code(stage: str) -> None:
    assert "${item.inputs}" in STAGES[stage]["deps"]
    for digest in planned(stage):
        assert digest.name.removesuffix(".txt").split("-")[0] == stage


@pytest.mark.parametrize("stage", sorted(INSTANCES))
def test_the_hashes_are_of_an_entry_of_every_registry_that_a_stage_uses(stage: str) -> None:
    used = registries_used(Path(f"pipeline/stages/{stage}.py"))
    if "tasks.{task}.model" in KINDS[stage].settings:
        used.add("models")  # by way of the settings
    named = {registry for digest in planned(stage) for registry in registries_of(digest)}
    assert named == used - LOOKED_UP.get(stage, set()) - BUILT_IN


def test_instances_that_share_an_inputs_file_are_decided_by_the_same() -> None:
    seen: dict[str, fingerprints.Decided] = {}
    for item in items.items_of(everything()):
        decided = fingerprints.decided_by(item)
        assert seen.setdefault(item["inputs"], decided) == decided


def test_the_table_depends_on_the_hashes_of_its_code() -> None:
    digest = fingerprints.inputs_file("results")
    assert str(digest) in STAGES["results"]["deps"]
    assert digest in compiler.inputs_of(everything())
    used = registries_used(Path("pipeline/stages/results.py"))
    assert used - BUILT_IN == LOOKED_UP["results"]


def test_the_stage_that_writes_hashes_depends_on_all_code_they_are_of() -> None:
    listed = {Path(dep) for dep in STAGES["plan"]["deps"]}
    assert Path("pipeline/plan") in listed
    starts_of_all = {Path(f"pipeline/stages/{stage}.py") for stage in STAGES} - VIEWS
    core = {path.relative_to(ROOT) for path in (ROOT / "pipeline/core").rglob("*.py")}
    for file in fingerprints.closure(starts_of_all | core, ROOT):
        assert listed & {file, *file.parents}, f"{file} is no dep of the stage plan"


def test_views_are_in_no_hash() -> None:
    inputs = compiler.inputs_of(everything())
    code = {file for one in inputs for file in fingerprints.code_behind(one, ROOT)}
    for folder in ("compare", "plots", "tracking", "presets"):
        assert not [f for f in code if Path("pipeline", folder) in f.parents]
    assert not code & VIEWS


@pytest.mark.parametrize(
    ("registry", "name"),
    [(registry, name) for registry, names in NAMES.items() for name in names],
)
def test_an_entry_of_a_registry_is_one_file_or_a_package(registry: str, name: str) -> None:
    own = own_files(registry, name)
    assert own
    for other in NAMES[registry]:
        assert not shared(registry, name) & own_files(registry, other), f"imports {other}"


@pytest.mark.parametrize("engine", engines.ENGINES)
def test_an_engine_shares_only_what_every_training_uses(engine: str) -> None:
    """Else an edit of one engine's helper would train the others' results again."""
    folder = Path("pipeline/engines")
    other = set(engines.ENGINES) - {engine}
    for file in shared("engines", engine):
        if folder in file.parents:
            users = [name for name in other if file in shared("engines", name)]
            assert users, f"only {engine} uses {file}: put both into a package of their own"


def test_dvc_yaml_says_of_every_kind_what_its_record_says() -> None:
    assert STAGES.keys() - {"plan", "results", "track"} == KINDS.keys()
    for name, kind in KINDS.items():
        assert DVC["stages"][name] == {
            "foreach": f"${{plan.{name}}}",
            "do": {
                "cmd": f"python -m pipeline.stages.{name} ${{key}}",
                "deps": [
                    f"${{item.{field}}}" for field in ("inputs", *kind.reads, *kind.raw)
                ],
                "outs": [f"${{item.{field}}}" for field in kind.writes],
            },
        }


def test_the_stage_track_reads_the_results_that_are_tracked() -> None:
    deps = set(DVC["stages"]["track"]["deps"])
    for name, kind in KINDS.items():
        read = {f"artifacts/{kind.shown}", f"${{tracked_{kind.shown}}}"} & deps
        assert kind.tracked == bool(read), name


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
    arguments = ["main-s0-1" if stage == "init" else "main-ticket-r01-s0-1"]
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


def everything() -> items.Plan:
    """A plan with instances of every stage."""
    early = {"to": "early", "step": 1, "draw": None, "pruned": "zero"}
    recipe = settings().variants["ticket"].prune
    slow = {
        "prune": {
            "mask": "own",
            "schedule": "gradual",
            "criterion": "magnitude",
            "scope": "layerwise",
            "fraction": recipe.fraction,
        },
        "rewind": {"to": "theta0"},
    }
    main = raw()["tasks"]["main"]
    main["train"] |= {"augment": "flip-crop", "measures": ["weight-norm"]}
    matched = {
        "tasks": ["other"],
        "prune": {"mask": {"task": "main", "variant": "ticket"}, "transform": "permuted"},
        "rewind": {"to": "theta0"},
    }
    pool = {
        "tasks": ["main"],
        "prune": {"mask": "ticket", "pool": {}},
        "rewind": {"to": "pruned"},
    }
    changes = {
        "tasks": {"main": main, "other": main | {"model": main["model"] | {"draw": 1}}},
        "variants__matched": matched,
        "variants__pool": pool,
        "analyses": {"stable": INSTABILITY},
        "approximations": {"strong": APPROXIMATION},
        "variants__reinit__rewind": early,
        "variants__slow": slow,
    }
    parsed = settings(**changes)
    reads = replace(recipe, mask=MaskFrom(file="no.npz"), kept=({"fc1.weight": 1},) * 3)
    for key in RECIPE:
        reads = replace(reads, **{key: None})
    fixed = replace(parsed.variants["slow"], prune=reads)  # no file is there
    parsed = replace(parsed, variants=parsed.variants | {"fixed": fixed})
    found = compiler.compile_plan(parsed, [(0, 1)])
    own = replace(parsed, datasets={"digits": Source(npz="digits.npz")})  # no file is there
    kind, item = compiler._dataset(own, own.tasks["main"])
    found[kind]["digits"] = item
    assert all(found.values())
    return found


def planned(stage: str) -> set[Path]:
    """The files of hashes that instances of a stage depend on."""
    return {Path(str(item["inputs"])) for item in everything()[stage].values()}


def registries_of(digest: Path) -> list[str]:
    """The registries whose entries stand in the name of a file of hashes."""
    _, *entries = digest.name.removesuffix(".txt").split("-")
    return [entry.partition(".")[0] for entry in entries]


def registries_used(stage: Path) -> set[str]:
    """The registries of whose own names a stage's code imports one."""
    modules = set()
    for file in fingerprints.reached({stage}, ROOT):
        for node in ast.walk(ast.parse((ROOT / file).read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                modules |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module:
                names = {f"{node.module}.{alias.name}" for alias in node.names}
                modules |= {name if is_module(name) else node.module for name in names}
    folders = {name: ".".join(fingerprints.FOLDERS[name].parts) for name in NAMES}
    return {name for name in NAMES if folders[name] in modules}


def is_module(name: str) -> bool:
    path = ROOT.joinpath(*name.split("."))
    return path.is_dir() or path.with_suffix(".py").is_file()


def own_files(registry: str, name: str) -> set[Path]:
    """The file of an entry, or all files of its package."""
    path = (
        ROOT / fingerprints.FOLDERS[registry] / fingerprints.ENTRIES[registry].file_of(name)
    )
    files = sorted(path.rglob("*.py")) if path.is_dir() else [path]
    return {file.relative_to(ROOT) for file in files if file.is_file()}


def shared(registry: str, name: str) -> set[Path]:
    """What an entry imports beside its own files."""
    own = own_files(registry, name)
    return fingerprints.closure(own, ROOT) - own


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
