"""The batched engine: see ``engine.py``."""

from pipeline.engines.batched.engine import make, supports

__all__ = ["make", "supports"]
