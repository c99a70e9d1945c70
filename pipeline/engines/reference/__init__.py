"""The reference engine is plain torch, and defines what is right: see ``engine.py``."""

from pipeline.engines.reference.engine import make

__all__ = ["make"]
