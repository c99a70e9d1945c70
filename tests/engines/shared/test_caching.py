"""Kernels are compiled anew when their source changes, and not otherwise."""

import ast
import importlib
import os
import pkgutil
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from itertools import product
from pathlib import Path

import numba
import numpy as np
import pytest
from numba.core.registry import CPUDispatcher
from numba.extending import _Intrinsic

from pipeline import engines
from pipeline.engines.dense import kernels as dense
from pipeline.engines.shared import caching, kernels
from pipeline.engines.sparse import kernels as sparse
from pipeline.engines.sparse_conv import kernels as sparse_conv


def locator(kernel):
    return kernel._cache._impl.locator


def called(module):
    """Names of the modules whose kernels and emitted code this one names."""
    kernels = [v.py_func for v in vars(module).values() if isinstance(v, CPUDispatcher)]
    emitted = [v._defn for v in vars(module).values() if isinstance(v, _Intrinsic)]
    return {function.__module__ for function in kernels + emitted}


def kernel_modules():
    """All modules of engines that name such code."""
    found = pkgutil.walk_packages(engines.__path__, f"{engines.__name__}.")
    modules = [importlib.import_module(x.name) for x in found]
    return [module for module in modules if called(module)]


@pytest.mark.parametrize("changed", ["own", "shared"])
@pytest.mark.parametrize(
    "kernel", [dense.train, sparse.evaluate, sparse_conv.train, kernels.move_all]
)
def test_a_kernel_is_stale_when_what_it_may_call_changes(kernel, changed, monkeypatch):
    stamp = locator(kernel).get_source_stamp()
    place = locator(kernel).get_cache_path()
    assert locator(kernel).get_source_stamp() == stamp
    module = sys.modules[kernel.py_func.__module__] if changed == "own" else caching
    folder, digest_of = Path(module.__file__).parent, caching.digest_of
    monkeypatch.setattr(
        caching, "digest_of", lambda x: b"another" if x == folder else digest_of(x)
    )
    assert locator(kernel).get_source_stamp() != stamp
    assert locator(kernel).get_cache_path() != place


def test_the_digest_of_a_folder_changes_with_any_file_in_it(tmp_path):
    found = set()
    for content in ("a = 1", "a = 2"):
        for name in ("one.py", "two.py"):
            (tmp_path / name).write_text(content)
            found.add(caching.digest_of.__wrapped__(tmp_path))
    assert len(found) == 4


def test_other_functions_of_numba_are_cached_as_ever():
    assert not numba.config.CACHE_LOCATOR_CLASSES


@pytest.mark.parametrize("module", kernel_modules())
def test_kernels_call_only_what_their_stamp_tells(module):
    packages = {name.rpartition(".")[0] for name in called(module)}
    assert packages <= {module.__package__, caching.__package__}


@pytest.mark.parametrize("module", kernel_modules())
def test_kernels_take_numbers_only_from_where_their_stamp_tells(module):
    tree = ast.parse(Path(module.__file__).read_text())
    imports = [node for node in tree.body if isinstance(node, ast.ImportFrom)]
    places = {
        node.module.rpartition(".")[0]
        for node in imports
        for one in node.names
        if isinstance(getattr(module, one.name, None), (int, float, tuple, np.generic))
    }
    assert places <= {module.__package__, caching.__package__}


def test_there_are_kernels_to_check():
    assert {dense, sparse, sparse_conv, kernels} <= set(kernel_modules())


# The cache on disk, with a kernel that compiles in an instant

KERNEL = """
from pipeline.engines.shared.caching import kernel

@kernel
def {name}(x):
    return x + x

assert {name}(21) == 42
hits = sum({name}._cache_hits.values())
print(hits, {name}._cache.cache_path if hasattr({name}._cache, "cache_path") else None)
"""
DAMAGES = (b"", b"\x80\x04nothing", b"\x00" * 300)


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """A cache of its own, and a file with a kernel."""
    source = tmp_path / "source"
    source.mkdir()
    (source / "own.py").write_text(KERNEL.format(name="double"))
    monkeypatch.setenv("LT_CACHE", str(tmp_path / "cache"))
    return tmp_path


def run(place):
    """Run the file in a process of its own; whether it found its kernel, and where."""
    ((hits, folder),) = found(place)
    return hits, folder


def found(place):
    """The same for each kernel of the file."""
    ended = subprocess.run(
        [sys.executable, str(place / "source" / "own.py")],
        capture_output=True,
        text=True,
        check=True,
        env=os.environ | {"PYTHONPATH": str(Path(engines.__file__).parents[2])},
    )
    assert ended.stderr == ""
    lines = [line.split(" ", maxsplit=1) for line in ended.stdout.splitlines()]
    return [(int(hits), folder) for hits, folder in lines]


def entries(place, ending):
    return sorted((place / "cache").rglob(f"*{ending}"))


def test_a_process_finds_what_another_has_compiled_in_another_clone(cache):
    shutil.copytree(cache / "source", cache / "clone" / "source")
    assert run(cache) == (0, run(cache)[1])
    assert run(cache / "clone")[0] == 1


def test_a_damaged_entry_counts_as_missing_and_is_written_anew(cache):
    kernels = [KERNEL.format(name=f"double_{i}") for i in range(2 * len(DAMAGES))]
    (cache / "source" / "own.py").write_text("\n".join(kernels))
    found(cache)
    for i, (ending, damage) in enumerate(product((".nbi", ".nbc"), DAMAGES)):
        (file,) = (one for one in entries(cache, ending) if f".double_{i}-" in one.name)
        file.write_bytes(damage)
    assert [hits for hits, _ in found(cache)] == [0] * len(kernels)
    assert [hits for hits, _ in found(cache)] == [1] * len(kernels)


def test_a_kernel_is_compiled_where_nothing_can_be_kept(cache, monkeypatch):
    (cache / "file").touch()
    monkeypatch.setenv("LT_CACHE", str(cache / "file" / "folder"))
    assert run(cache) == (0, "None")
    assert entries(cache, "") == []


def test_processes_that_begin_together_compile_once(cache):
    with ThreadPoolExecutor(3) as pool:
        found = list(pool.map(lambda _: run(cache)[0], range(3)))
    assert sorted(found) == [0, 1, 1]
    assert len(entries(cache, ".nbc")) == 1
