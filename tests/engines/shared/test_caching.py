"""When kernels are compiled anew."""

import numba
import pytest
from numba.core.registry import CPUDispatcher

from pipeline.engines.dense import kernels as dense
from pipeline.engines.shared import caching, kernels
from pipeline.engines.sparse import kernels as sparse
from pipeline.engines.sparse_conv import kernels as sparse_conv


def locator(kernel):
    return kernel._cache._impl.locator


@pytest.mark.parametrize(
    "kernel", [dense.train, sparse.evaluate, sparse_conv.train, kernels.move_all]
)
def test_a_kernel_is_stale_when_a_shared_module_changes(kernel, monkeypatch):
    stamp = locator(kernel).get_source_stamp()
    name = locator(kernel).get_disambiguator()
    assert locator(kernel).get_source_stamp() == stamp
    monkeypatch.setattr(caching, "_SHARED", b"another")
    assert locator(kernel).get_source_stamp() != stamp
    assert locator(kernel).get_disambiguator() != name


def test_other_functions_of_numba_are_cached_as_ever():
    assert not numba.config.CACHE_LOCATOR_CLASSES


@pytest.mark.parametrize("module", [dense, sparse, sparse_conv, kernels])
def test_every_kernel_that_is_called_elsewhere_is_in_a_shared_module(module):
    called = [v for v in vars(module).values() if isinstance(v, CPUDispatcher)]
    assert called
    homes = {kernel.py_func.__module__ for kernel in called}
    assert {home for home in homes if not home.startswith(caching.__package__)} <= {
        module.__name__
    }
