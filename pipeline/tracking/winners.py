"""The smallest winning ticket of each variant, as tags of its runs."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

from pipeline.results import winning
from pipeline.results.tables import rows
from pipeline.tracking.chains import Chain, digest_of
from pipeline.tracking.words import percent


def winning_tags(chains: Iterable[Chain]) -> dict[str, dict[str, str]]:
    """Key of a chain of tickets -> what all seeds of its variant show together.

    Args:
        chains: those that the workspace holds now.

    Returns:
        ``winning_density`` and ``winning_confidence``; nothing for variants that are
        controls.
    """
    groups: dict[tuple[str, str, str], list[Chain]] = defaultdict(list)
    for chain in chains:
        first = chain.first
        if is_ticket(first.settings):
            groups[first.task, first.variant, digest_of(first.settings)].append(chain)
    tags: dict[str, dict[str, str]] = {}
    for group in groups.values():
        shared = _tags(group)
        tags |= {chain.key: shared for chain in group}
    return tags


def is_ticket(settings: Mapping[str, Any]) -> bool:
    """Whether a variant has a mask and weights of its own, and nothing where it prunes.

    The dense network has neither.
    """
    prune, rewind = settings["prune"], settings["rewind"]
    if not rewind or settings["mask_source"] is not None:
        return False
    return winning.are_tickets(rewind["to"], rewind["pruned"], prune["schedule"])


def _tags(chains: list[Chain]) -> dict[str, str]:
    winner = winning.smallest_winning(
        rows(record for chain in chains for record in chain.rounds),
        evaluate_every=chains[0].first.settings["train"]["evaluate_every"],
    )
    return {
        "winning_density": percent(winner.density) if winner else "none",
        "winning_confidence": winner.confidence if winner else winning.NO_WINNER,
    }
