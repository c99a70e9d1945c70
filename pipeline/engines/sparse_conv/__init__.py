"""The sparse engine for convolutional networks: see ``engine.py``."""

from pipeline.engines.sparse_conv.engine import make

__all__ = ["make"]
