"""The code and the settings behind a stage, and the files that stand for them."""

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Iterable
from functools import cache
from pathlib import Path

import pytest
from helpers.experiment import APPROXIMATION, INSTABILITY, edited
from helpers.registries import NAMES
from helpers.workspace import ROOT

from pipeline.config import params
from pipeline.plan import compiler, fingerprints
from pipeline.plan.fingerprints import (
    NOTHING,
    CodeError,
    Decided,
    code_behind,
    decides,
)

STAGES = sorted(
    path.stem
    for path in (ROOT / "pipeline/stages").glob("[a-z]*.py")
    if path.stem not in ("plan", "track")
)
STAGE = "pipeline.stages"
TREE = {
    "pipeline/__init__.py": "",
    "pipeline/stages/train.py": (
        "import os\n"
        "from pipeline.artifacts import files\n"
        "from pipeline.run import moving\n"
        "def run():\n"
        "    from pipeline.core.training import loop\n"
    ),
    "pipeline/artifacts/files.py": "import pipeline.core.unseen\n",
    "pipeline/core/unseen.py": "",
    "pipeline/run/moving.py": "import pipeline.core.analysis.lines as lines\n",
    "pipeline/core/__init__.py": "",
    "pipeline/core/analysis/__init__.py": "",
    "pipeline/core/analysis/lines.py": "",
    "pipeline/core/training/__init__.py": "",
    "pipeline/core/training/loop.py": (
        "from pipeline import engines\nfrom pipeline.core.arrays import Weights\n"
    ),
    "pipeline/engines/__init__.py": (
        "from pipeline.core import arrays\n"
        "ENGINES = Registry({'dense': Record(module='dense'), "
        "'sparse': Record(module='sparse')})\n"
    ),
    "pipeline/engines/dense.py": "",
    "pipeline/engines/sparse/__init__.py": "",
    "pipeline/engines/sparse/kernels.py": "from pipeline.core import seeding\n",
    "pipeline/core/arrays.py": "from pipeline.run import moving\n",
    "pipeline/core/seeding.py": "",
    "pipeline/plan/fingerprints.py": "",  # by which a clone is known
}
TRAIN = {
    "pipeline/core/__init__.py",
    "pipeline/core/analysis/__init__.py",
    "pipeline/core/analysis/lines.py",
    "pipeline/core/arrays.py",
    "pipeline/core/training/__init__.py",
    "pipeline/core/training/loop.py",
    "pipeline/engines/__init__.py",
    "pipeline/stages/train.py",
}
"""what decides the results of ``train.py``: neither an engine that it does not use, nor
what moves things and what only that imports"""


ENGINES = "pipeline/engines/__init__.py"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A project of a few lines."""
    for name, text in TREE.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


def names(digest: str, root: Path) -> set[str]:
    return {str(file) for file in code_behind(fingerprints.FOLDER / digest, root)}


def test_code_is_what_the_imports_name_at_any_depth(root: Path) -> None:
    assert names("train.txt", root) == TRAIN


def test_an_entry_of_a_registry_counts_where_it_is_named(root: Path) -> None:
    one = names("train-engines.dense.txt", root)
    assert one == TRAIN | {"pipeline/engines/dense.py"}


def test_all_files_of_a_package_count(root: Path) -> None:
    found = names("train-engines.sparse.txt", root)
    assert found - TRAIN == {
        "pipeline/core/seeding.py",
        "pipeline/engines/sparse/__init__.py",
        "pipeline/engines/sparse/kernels.py",
    }


def test_a_file_of_hashes_is_what_sha256sum_checks(root: Path) -> None:
    digest = fingerprints.FOLDER / "train.txt"
    fingerprints.write({digest: NOTHING}, {}, root)
    text = (root / digest).read_text().splitlines()
    lines = [line.split("  ") for line in text if not line.startswith("#")]
    assert [file for _, file in lines] == sorted(TRAIN - {ENGINES})
    for found, file in lines:
        assert found == hashlib.sha256((root / file).read_bytes()).hexdigest()


def test_what_changed_since_an_inputs_file_was_written_is_named(root: Path) -> None:
    train = fingerprints.FOLDER / "main/train.txt"
    settings = {"tasks": {"main": {"train": {"lr": 0.1}}}}
    decided = Decided(facts=(), settings=("tasks.main.train.lr",))
    fingerprints.write({train: decided}, settings, root)
    assert fingerprints.changed_since(train, decided, settings, root) == []
    other = {"tasks": {"main": {"train": {"lr": 0.9}}}}
    file = sorted(TRAIN - {ENGINES})[0]
    (root / file).write_text("# edited\n")
    found = fingerprints.changed_since(train, decided, other, root)
    assert found == [file, "tasks.main.train.lr"]
    assert "tasks.main.train.lr" in fingerprints.changed_since(train, decided, {}, root)


def test_inputs_files_that_are_not_as_they_would_be_written_go(root: Path) -> None:
    train = fingerprints.FOLDER / "train.txt"
    fingerprints.write({train: NOTHING}, {}, root)
    text = fingerprints.text(train, NOTHING, {}, root)
    fingerprints.clear_outdated({str(train): text}, root)
    assert (root / train).exists()
    fingerprints.clear_outdated({str(train): text + "# more\n"}, root)
    assert not (root / fingerprints.FOLDER).exists()


def test_facts_and_settings_are_comments_before_the_hashes(root: Path) -> None:
    train = fingerprints.FOLDER / "main/train.txt"
    keys = ["tasks.main.compat", "tasks.main.train", "tasks.main.train.lr"]
    settings = {"tasks": {"main": {"train": {"steps": 2, "lr": 0.1}, "compat": None}}}
    decided = Decided(facts=(("engine", "dense"),), settings=tuple(keys))
    fingerprints.write({train: decided}, settings, root)
    lines = (root / train).read_text().splitlines()
    assert lines[:4] == [
        '# engine: "dense"',
        "# tasks.main.compat: null",
        '# tasks.main.train: {"lr": 0.1, "steps": 2}',
        "# tasks.main.train.lr: 0.1",
    ]
    assert len(lines) == 4 + len(TRAIN)
    subprocess.run(["sha256sum", "--check", "--strict", train], cwd=root, check=True)


def test_of_a_registry_counts_what_is_no_record_and_the_records_that_are_used(
    root: Path,
) -> None:
    used = fingerprints.FOLDER / "train-engines.dense.txt"
    before = fingerprints.text(used, NOTHING, {}, root)
    assert "# engines.dense: Record(module='dense')\n" in before
    assert "# engines.sparse:" not in before
    written = (root / ENGINES).read_text()
    (root / ENGINES).write_text(written.replace("module='sparse'", "module='sparse', x=1"))
    assert fingerprints.text(used, NOTHING, {}, root) == before
    predicted = written.replace("module='dense'", "module='dense', forecast=Speed(2e10)")
    (root / ENGINES).write_text(predicted)
    assert fingerprints.text(used, NOTHING, {}, root) == before
    for changed in (
        written.replace("module='dense'", "module='dense', x=1"),
        written + "def resolve(): ...\n",
    ):
        (root / ENGINES).write_text(changed)
        assert fingerprints.text(used, NOTHING, {}, root) != before


@pytest.mark.parametrize("registry", fingerprints.ENTRIES)
def test_the_record_of_every_entry_with_a_file_stands_in_the_inputs_files(
    registry: str,
) -> None:
    known = fingerprints.ENTRIES[registry]
    for name, entry in known.items():
        if entry.module:
            stem = known.file_of(name).removesuffix(".py")
            used = fingerprints.FOLDER / f"train-{registry}.{stem}.txt"
            found = fingerprints.text(used, NOTHING, {}, ROOT)
            assert f"# {registry}.{name}: " in found


def test_inputs_files_are_the_same_in_every_process() -> None:
    """Addresses and the order of sets differ between processes; no line may hold one."""
    asked = [
        fingerprints.inputs_file("train", **{registry: name})
        for registry, known in NAMES.items()
        for name in known
    ]
    code = (
        "from pathlib import Path; from pipeline.plan import fingerprints as f; "
        f"print([f.text(Path(p), f.NOTHING, {{}}) for p in {[str(p) for p in asked]}])"
    )
    texts = {
        subprocess.run(
            [sys.executable, "-c", code],
            cwd=ROOT,
            env=os.environ | {"PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert len(texts) == 1


TRAINED = {"train", "early", "retrain", "copies", "lines"}


@pytest.mark.parametrize(
    ("changes", "stages", "names"),
    [
        ({"rounds": 3, "seeds": [0, 1, 7], "experiment": "other"}, set(), set()),
        ({"tasks__main__train__lr": 0.2}, TRAINED, set()),
        (
            {"tasks__main__model__widths": [9]},
            TRAINED | {"init", "prune", "rewind", "approximations"},
            set(),
        ),
        (
            {"variants__ticket__prune__fraction": {"fc": 0.4, "output": 0.15}},
            {"prune", "retrain"},
            {"ticket", "reinit", "random-mask"},
        ),
        ({"variants__reinit__rewind__draw": 1}, {"rewind", "retrain"}, {"reinit"}),
        ({"analyses__stable__points": 7}, {"lines"}, {"stable"}),
        ({"analyses__stable__pairs": 2}, {"lines", "copies"}, {"stable"}),
        ({"approximations__strong__epsilon": 0.1}, {"approximations"}, {"strong"}),
    ],
)
def test_a_setting_stands_where_it_decides_a_result(
    changes: dict[str, object], stages: set[str], names: set[str]
) -> None:
    before, after = texts(), texts(**changes)
    assert before.keys() == after.keys()
    stale = {kind for kind in before if before[kind] != after[kind]}
    assert {kind.name.partition("-")[0] for kind in stale} == stages
    if names:
        assert {kind.parent.name for kind in stale} <= names


def texts(**changes: object) -> dict[Path, str]:
    """All files of a plan with instances of every stage."""
    early = {"to": "early", "step": 1, "draw": None, "pruned": "zero"}
    settings = edited(
        **{
            "analyses": {"stable": dict(INSTABILITY)},
            "approximations": {"strong": dict(APPROXIMATION)},
            "variants__one-shot__rewind": early,
        }
        | changes
    )
    compiled = compiler.compile_plan(params.parse(settings), [(0, 1)])
    # of data, files, tasks and pools that are not here
    others = ("own", "given", "matched", "networks", "pooled")
    assert all(items for kind, items in compiled.items() if kind not in others)
    inputs = compiler.inputs_of(compiled)
    return {
        file: fingerprints.text(file, decided, settings, ROOT)
        for file, decided in inputs.items()
    }


def test_an_edit_changes_the_files_it_stands_in_and_no_other(root: Path) -> None:
    digests = [
        fingerprints.FOLDER / f"train-engines.{name}.txt" for name in ("dense", "sparse")
    ]
    wanted = dict.fromkeys(digests, NOTHING)
    fingerprints.write(wanted, {}, root)
    dense, sparse = ((root / digest).read_bytes() for digest in digests)
    (root / "pipeline/core/seeding.py").write_text("EDITED = True\n")
    fingerprints.write(wanted, {}, root)
    assert (root / digests[0]).read_bytes() == dense
    assert (root / digests[1]).read_bytes() != sparse


def test_files_of_hashes_that_nobody_needs_are_removed(root: Path) -> None:
    old, new = (
        fingerprints.FOLDER / "train-engines.dense.txt",
        fingerprints.FOLDER / "train.txt",
    )
    fingerprints.write({old: NOTHING}, {}, root)
    fingerprints.write({new: NOTHING}, {}, root)
    assert [path.name for path in (root / fingerprints.FOLDER).iterdir()] == [new.name]


def test_code_that_is_not_python_is_one_line(root: Path) -> None:
    (root / "pipeline/core/arrays.py").write_text("a = 1\nb = = 2\n")
    with pytest.raises(CodeError) as refused:
        names("train.txt", root)
    expected = "pipeline/core/arrays.py: line 2 is not Python; mend it"
    assert str(refused.value) == expected


def test_deciding_folders_exist() -> None:
    folders = fingerprints.DECIDING
    assert [name for name in folders if not (ROOT / "pipeline" / name).is_dir()] == []


def test_a_closure_has_every_module_that_an_import_loads() -> None:
    """What Python loads is asked of Python, not of the import statements."""
    digests = [fingerprints.inputs_file(stage) for stage in STAGES]
    digests += {
        fingerprints.inputs_file("results", **{registry: name})
        for registry, known in NAMES.items()
        for name in known
    }
    for digest, loaded in loaded_with(digests).items():
        unseen = {file for file in loaded - code_behind_all(digest) if decides(file)}
        assert unseen == set(), digest.name


def code_behind_all(digest: Path) -> set[Path]:
    """The code behind a stage, and what reading the settings imports."""
    return set(code_behind(digest, ROOT)) | read_settings()


@cache
def read_settings() -> set[Path]:
    """What is loaded to read settings and plan, and decides nothing there."""
    names = ("config.params", "plan.items", "plan.compiler", "artifacts.files")
    (files,) = loaded([[f"pipeline.{name}" for name in names]])
    return files


def loaded_with(digests: Iterable[Path]) -> dict[Path, set[Path]]:
    """The project's files that a fresh import of a stage and its entries loads."""
    asked = {digest: modules_of(digest) for digest in digests}
    return dict(zip(asked, loaded(list(asked.values())), strict=True))


def modules_of(digest: Path) -> list[str]:
    """The modules of a stage and of the entries that its inputs file names."""
    stage, *entries = digest.name.removesuffix(".txt").split("-")
    modules = [".".join((STAGE, stage))]
    for entry in entries:
        registry, _, name = entry.partition(".")
        modules.append(".".join((*fingerprints.FOLDERS[registry].parts, name)))
    return modules


LOADING = """
import importlib, json, sys
for modules in json.load(sys.stdin):
    for name in [n for n in sys.modules if n.partition(".")[0] == "pipeline"]:
        del sys.modules[name]
    for name in modules:
        importlib.import_module(name)
    own = [m for n, m in sys.modules.items() if n.partition(".")[0] == "pipeline"]
    print(json.dumps([module.__file__ for module in own]))
"""


def loaded(asked: list[list[str]]) -> list[set[Path]]:
    """The project's files that a fresh import of each of these lists of modules loads.

    In a process of its own: modules that are imported anew have other classes.
    """
    done = subprocess.run(
        [sys.executable, "-c", LOADING],
        input=json.dumps(asked),
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return [
        {Path(file).relative_to(ROOT) for file in json.loads(line)}
        for line in done.stdout.splitlines()
    ]
