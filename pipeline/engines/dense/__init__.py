"""The dense engine: see ``engine.py``."""

from pipeline.engines.dense.engine import make, supports

__all__ = ["make", "supports"]
