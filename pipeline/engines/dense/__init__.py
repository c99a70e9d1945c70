"""The dense engine: see ``engine.py``."""

from pipeline.engines.dense.engine import make

__all__ = ["make"]
