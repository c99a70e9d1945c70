"""The sparse engine for fully connected networks: see ``engine.py``."""

from pipeline.engines.sparse.engine import make

__all__ = ["make"]
