"""What the server imports that workers are forked from: what costs seconds, once.

Each engine needs something else, and nobody waits for what it does not need: torch takes
0.8 s, the first optimizer object another 1.0 s (it imports torch's compiler), Numba's
library of types and functions 0.7 s. AMD EPYC (Zen 5), torch 2.13, numba 0.68, 2026-11-21.
"""

FORWARD = "pipeline.preloads.tensors"
"""what forward passes alone need"""

MODULES: dict[str, str] = {
    "reference": "pipeline.preloads.optimizer",
    "sparse": "pipeline.preloads.kernels",
    "sparse-conv": "pipeline.preloads.kernels",
}
"""by engine; the others need torch and nothing else"""


def module_for(engine: str) -> str:
    """The module to import before workers of this engine are forked."""
    return MODULES.get(engine, FORWARD)
