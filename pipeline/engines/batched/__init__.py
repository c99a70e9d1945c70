"""The batched engine trains several networks of one shape at once: see ``engine.py``."""

from pipeline.engines.batched.engine import make

__all__ = ["make"]
