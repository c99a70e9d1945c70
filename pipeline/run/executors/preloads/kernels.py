"""Import Numba, so that kernels load from its cache at once."""

from numba.core.registry import cpu_target

from pipeline.run.executors.preloads import quick_end as quick_end

cpu_target.target_context.refresh()
