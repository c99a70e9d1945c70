"""Kernels are compiled anew when their source changes, and not otherwise."""

import importlib
import pkgutil
import sys
from pathlib import Path

import numba
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
    name = locator(kernel).get_disambiguator()
    assert locator(kernel).get_source_stamp() == stamp
    module = sys.modules[kernel.py_func.__module__] if changed == "own" else caching
    folder, digest_of = Path(module.__file__).parent, caching.digest_of
    monkeypatch.setattr(
        caching, "digest_of", lambda x: b"another" if x == folder else digest_of(x)
    )
    assert locator(kernel).get_source_stamp() != stamp
    assert locator(kernel).get_disambiguator() != name


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


def test_there_are_kernels_to_check():
    assert {dense, sparse, sparse_conv, kernels} <= set(kernel_modules())
