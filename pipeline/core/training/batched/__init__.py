"""The batched engine: see ``engine.py``."""

from pipeline.core.training.batched.engine import make, supports

__all__ = ["make", "supports"]
