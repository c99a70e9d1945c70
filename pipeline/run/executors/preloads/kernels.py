"""Import Numba, so that kernels load from its cache at once."""

from numba.core.registry import cpu_target

cpu_target.target_context.refresh()
