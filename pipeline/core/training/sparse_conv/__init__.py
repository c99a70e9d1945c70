"""The sparse engine for convolutional networks: see ``engine.py``."""

from pipeline.core.training.sparse_conv.engine import make, supports

__all__ = ["make", "supports"]
