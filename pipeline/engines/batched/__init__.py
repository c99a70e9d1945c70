"""The batched engine: see ``engine.py``."""

from pipeline.engines.batched.engine import make

__all__ = ["make"]
