"""The entries of registries that many tests go through."""

from pipeline.core.training.engine import Ability
from pipeline.engines import ENGINES
from pipeline.plan.fingerprints import ENTRIES

NAMES = {
    registry: tuple(name for name, record in entries.items() if record.module)
    for registry, entries in ENTRIES.items()
}
"""by registry: entries that are a file or a package of their own"""
LABELED = [n for n, record in ENGINES.items() if Ability.ACT not in record.abilities]
"""engines that read labeled examples; test_control.py has the other one"""
