"""Tags that name the smallest winning ticket of a variant, on the runs of all its seeds."""

import json
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from typing import Any

from pipeline.core.looks import Looks
from pipeline.results import winning
from pipeline.results.tables import rows
from pipeline.tracking.chains import Chain, digest_of
from pipeline.tracking.formats import weights_remaining

NOT_JUDGED = {
    "winning_density": "none",
    "winning_confidence": "the dense network did not train",
}
UNTRAINED = "untrained"
"""the tag of an experiment with the tasks whose dense network did not train, as JSON"""


def untrained_tasks(tags: Mapping[str, str]) -> frozenset[str]:
    """The tasks that the tags of an experiment name as untrained."""
    try:
        return frozenset(str(task) for task in json.loads(tags.get(UNTRAINED, "[]")))
    except (ValueError, TypeError):
        return frozenset()  # somebody has edited it


def winning_tags(
    chains: Iterable[Chain], looks: Looks, untrained: Collection[str] = ()
) -> dict[str, dict[str, str]]:
    """Key of a chain -> tags that all seeds of its variant share.

    Args:
        chains: of the workspace.
        looks: at which numbers of seeds there may be a verdict.
        untrained: tasks whose dense network did not train, so that no ticket can win.

    Returns:
        ``winning_density`` and ``winning_confidence`` for every chain of tickets;
        nothing for controls.
    """
    groups: dict[tuple[str, str, str], list[Chain]] = defaultdict(list)
    for chain in chains:
        first = chain.first
        if is_ticket(first.settings):
            groups[first.task, first.variant, digest_of(first.settings)].append(chain)
    tags: dict[str, dict[str, str]] = {}
    for (task, _, _), group in groups.items():
        shared = NOT_JUDGED if task in untrained else _tags(group, looks)
        tags |= {chain.key: shared for chain in group}
    return tags


def is_ticket(settings: Mapping[str, Any]) -> bool:
    """Whether a variant has its task's own mask and start, and its pruned weights are 0.

    The dense network is no ticket.
    """
    prune, rewind = settings["prune"], settings["rewind"]
    if not rewind or "task" in rewind or settings["mask_source"] is not None:
        return False
    return winning.are_tickets(rewind["to"], rewind["pruned"], prune["schedule"])


def _tags(chains: list[Chain], looks: Looks) -> dict[str, str]:
    winner = winning.smallest_winning(
        rows(result for chain in chains for result in chain.rounds),
        evaluate_every=chains[0].first.settings["train"]["evaluate_every"],
        looks=looks,
    )
    return {
        "winning_density": weights_remaining(winner.density) if winner else "none",
        "winning_confidence": winner.confidence if winner else winning.NO_WINNER,
    }
