"""Export a ticket as one portable file: θ₀ ⊙ m, the mask, and where they come from."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.artifacts import files, paths
from pipeline.artifacts.files import ArtifactError
from pipeline.border.errors import UserError
from pipeline.config.settings import Settings
from pipeline.core import masks
from pipeline.core.digests import digest
from pipeline.plan.chains import ChainGroup, chain_groups
from pipeline.plan.current import StaleError, Standing
from pipeline.plan.items import Plan, groups_in, items_of


@dataclass(frozen=True, kw_only=True, slots=True)
class Ticket:
    """The name of one ticket of the experiment."""

    name: str
    """its chain, as ``variant`` or ``task/variant``"""
    round: int
    """its round, 1 … rounds"""
    seed: int


class ExportError(UserError):
    """There is no such ticket; the one line says which there are."""


def export(
    settings: Settings,
    plan: Plan,
    ticket: Ticket,
    out: Path,
    standing: Standing | None = None,
) -> dict[str, Any]:
    """Write a ticket as safetensors.

    The file holds the start weights under their plain state-dict names (pruned weights
    0, or what the variant freezes them at; norm statistics included), each mask as
    ``mask.NAME`` (bool), and the provenance as JSON in the metadata.

    Args:
        settings: the settings of the experiment.
        plan: the plan that fits them.
        ticket: the ticket to export.
        out: the file to write; its folder must exist.
        standing: of the plan's results; None = export the ticket even if it is stale.

    Returns:
        The provenance.

    Raises:
        ExportError: if there is no such chain, round or seed, if several tasks have it,
            if its masks change while it trains, or if the file cannot be written.
        StaleError: if settings or code are no longer those that made the ticket.
        ArtifactError: if the artifacts are missing.
    """
    group = _find(settings, groups_in(plan), ticket)
    if group.variant.prune.policy.changes:
        raise ExportError(
            f"{group.name} finds its masks while it trains, so that no training began "
            "with one; export a control that takes them, or load its trained weights"
        )
    if out.is_dir() or not os.access(out.parent, os.W_OK):
        raise ExportError(
            f"{out} cannot be written; name a file in a folder that exists as --out"
        )
    folder = paths.starts_folder(group.at(ticket.round))
    if standing is not None:
        _refuse_stale(standing, plan, group, ticket)
    start = files.load_weights(folder, ticket.seed)
    mask = files.load_mask(group.mask_at(ticket.round), ticket.seed)
    facts = files.load_facts(paths.seed_file(folder, ticket.seed))
    revived = not group.variant.rewind.freezes and masks.revived(start, mask)
    if facts["mask"] != digest(mask) or revived:
        raise ArtifactError(f"{folder} does not fit its mask; run `lt-pipeline verify`")
    provenance = {
        "task": group.task,
        "variant": group.name,
        "round": ticket.round,
        "seed": ticket.seed,
        "density": masks.density(mask),
        "pruned": group.variant.rewind.pruned,
        "theta0": facts["theta0"],
        "weights": digest(start),
        "mask": digest(mask),
        "generator": "numpy Philox, pipeline.core.seeding",
        "numpy": np.__version__,
    }
    arrays: dict[str, NDArray[Any]] = dict(start)
    arrays |= {f"mask.{tensor}": kept for tensor, kept in mask.items()}
    files.save_arrays(out, arrays, **provenance)
    return provenance


def _refuse_stale(
    standing: Standing, plan: Plan, group: ChainGroup, ticket: Ticket
) -> None:
    what = f"{group.task}/{group.name} of round {ticket.round}"
    read = [paths.starts_folder(group.at(ticket.round)), group.mask_at(ticket.round)]
    wrote = {item[name]: item for item in items_of(plan) for name in item.kind.writes}
    standing.refuse([wrote[str(folder)] for folder in read], what)
    for folder in read:
        if folder.exists() and standing.differs(folder):
            raise StaleError(
                f"{folder} is not what DVC has recorded; restore it with `dvc checkout`, "
                "or take it as it is with --stale"
            )


def _find(settings: Settings, groups: list[tuple[int, ...]], ticket: Ticket) -> ChainGroup:
    named = [
        group
        for group in chain_groups(settings, groups)
        if ticket.name in (group.name, f"{group.task}/{group.name}")
    ]
    tasks = sorted({group.task for group in named})
    if len(tasks) > 1:
        raise ExportError(
            f"{ticket.name} is run on the tasks {', '.join(tasks)}; name one of them: "
            f"{tasks[0]}/{ticket.name}"
        )
    for group in named:
        has_seed = ticket.seed in set(group.seeds) & set(settings.seeds)
        if has_seed and 1 <= ticket.round <= settings.rounds:
            return group
    raise ExportError(
        f"no ticket {ticket.name} of round {ticket.round}, seed {ticket.seed}; there "
        f"are variants {', '.join(settings.variants)}, rounds 1 to {settings.rounds}, "
        f"seeds {', '.join(str(seed) for seed in settings.seeds)}"
    )
