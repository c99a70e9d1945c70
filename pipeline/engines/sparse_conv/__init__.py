"""The sparse engines of convolutional networks, also with norms: see ``engine.py``."""

from pipeline.engines.sparse_conv.engine import make

__all__ = ["make"]
