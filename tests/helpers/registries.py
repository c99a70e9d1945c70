"""The entries of registries that are a file or a package of their own."""

from pipeline.plan.fingerprints import ENTRIES

NAMES = {
    registry: tuple(name for name, record in entries.items() if record.module)
    for registry, entries in ENTRIES.items()
}
"""by registry"""
