"""The dense engine computes every weight, pruned or not, on a CPU: see ``engine.py``."""

from pipeline.engines.dense.engine import make

__all__ = ["make"]
