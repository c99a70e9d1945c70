"""Choose the slow imports that workers share: the server imports them once, then forks.

Each engine needs something else, and nobody waits for what it does not need: torch takes
0.8 s, Numba's library of types and functions 0.7 s (AMD EPYC, Zen 5; torch 2.13, numba
0.68; 2026-11-21).
"""

from pipeline.core.models.layers import Network
from pipeline.engines import ENGINES

FORWARD = "pipeline.run.executors.preloads.tensors"
"""what forward passes alone need"""
KERNELS = "pipeline.run.executors.preloads.kernels"
MODULES = (FORWARD, KERNELS)


def module_for(engine: str, network: Network) -> str:
    """The module to import before workers of this engine are forked.

    Networks with frozen weights are not compiled; their workers import torch themselves.
    """
    return KERNELS if ENGINES[engine].compiles(network) else FORWARD
