"""The sparse engine skips pruned weights of connected layers: see ``engine.py``."""

from pipeline.engines.sparse.engine import make

__all__ = ["make"]
