"""Choose the slow imports that workers share: the server imports them once, then forks.

Each engine needs something else, and nobody waits for what it does not need: torch takes
0.8 s, the first optimizer object another 1.0 s (it imports torch's compiler), Numba's
library of types and functions 0.7 s. AMD EPYC (Zen 5), torch 2.13, numba 0.68, 2026-11-21.
"""

from pipeline.core.models.layers import Network
from pipeline.engines import ENGINES

FORWARD = "pipeline.run.executors.preloads.tensors"
"""what forward passes alone need"""
OPTIMIZER = "pipeline.run.executors.preloads.optimizer"
KERNELS = "pipeline.run.executors.preloads.kernels"
MODULES = (FORWARD, OPTIMIZER, KERNELS)


def module_for(engine: str, network: Network) -> str:
    """The module to import before workers of this engine are forked.

    Networks with frozen weights are not compiled; their workers import torch themselves.
    """
    record = ENGINES[engine]
    if record.compiles(network):
        return KERNELS
    return OPTIMIZER if record.optimizer_objects else FORWARD
