"""Numba, ready to load kernels from its cache."""

from numba.core.registry import cpu_target

cpu_target.target_context.refresh()
