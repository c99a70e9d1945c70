"""Data sets with other pixel statistics."""

from dataclasses import asdict, replace

from pipeline.core.batches import Dataset
from pipeline.core.description import Images


def normalized_by(data: Dataset, **statistics: tuple[float, ...]) -> Dataset:
    """The same pixels, normalized by another ``mean`` or ``std``."""
    inputs = Images(**(asdict(data.images) | statistics))
    return replace(data, description=replace(data.description, inputs=inputs))
