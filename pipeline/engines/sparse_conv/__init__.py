"""The sparse engine for convolutional networks: see ``engine.py``."""

from pipeline.engines.sparse_conv.engine import make, supports

__all__ = ["make", "supports"]
