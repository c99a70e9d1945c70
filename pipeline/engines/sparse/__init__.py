"""The sparse engine skips pruned weights of fully connected layers: see ``engine.py``."""

from pipeline.engines.sparse.engine import make

__all__ = ["make"]
