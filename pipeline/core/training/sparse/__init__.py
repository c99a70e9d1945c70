"""The sparse engine for fully connected networks: see ``engine.py``."""

from pipeline.core.training.sparse.engine import make, supports

__all__ = ["make", "supports"]
