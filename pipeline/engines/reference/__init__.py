"""The reference engine: see ``engine.py``."""

from pipeline.engines.reference.engine import make

__all__ = ["make"]
