"""What the server imports that workers are forked from: what costs seconds, once.

Each engine needs something else, and nobody waits for what it does not need: torch takes
0.8 s, the first optimizer object another 1.0 s (it imports torch's compiler), Numba's
library of types and functions 0.7 s. AMD EPYC (Zen 5), torch 2.13, numba 0.68, 2026-11-21.
"""

from pipeline.core.models.layers import Network
from pipeline.core.training.suitability import fully_connected

FORWARD = "pipeline.preloads.tensors"
"""what forward passes alone need"""

KERNELS = "pipeline.preloads.kernels"

MODULES: dict[str, str] = {
    "reference": "pipeline.preloads.optimizer",
    "sparse": KERNELS,
    "sparse-conv": KERNELS,
}
"""by engine; the others need torch and nothing else, but fully connected networks are
compiled by the dense engine, too (with frozen weights, they import torch for themselves)"""


def module_for(engine: str, network: Network) -> str:
    """The module to import before workers of this engine are forked."""
    if engine == "dense" and fully_connected(network):
        return KERNELS
    return MODULES.get(engine, FORWARD)
