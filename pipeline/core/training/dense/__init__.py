"""The dense engine: see ``engine.py``."""

from pipeline.core.training.dense.engine import make, supports

__all__ = ["make", "supports"]
