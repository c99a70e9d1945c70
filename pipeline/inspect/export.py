"""Export a ticket, or its trained network, as one file, in the form asked for."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.artifacts import files, parquet, paths
from pipeline.artifacts.files import ArtifactError
from pipeline.config.settings import Settings
from pipeline.core import masks
from pipeline.core.digests import digest
from pipeline.core.registry import unknown
from pipeline.inspect.exports import DEFAULT, FORMS, card
from pipeline.inspect.exports.card import Reached
from pipeline.inspect.exports.exported import Exported, ExportError
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
    trained: bool = False
    """whether it is the network at the end of the round's training"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Output:
    """The form of what is written."""

    form: str = DEFAULT
    """a key of FORMS"""
    hub_card: bool = False
    """whether a model card, README.md, is written beside the file"""


def export(
    settings: Settings,
    plan: Plan,
    ticket: Ticket,
    out: Path,
    standing: Standing | None = None,
    output: Output = Output(),
) -> tuple[dict[str, Any], str]:
    """Write a ticket.

    Args:
        settings: the settings of the experiment.
        plan: the plan that fits them.
        ticket: the ticket to export.
        out: the file to write; its folder must exist.
        standing: of the plan's results; None = export the ticket even if it is stale.
        output: the form, and whether a model card is written beside it.

    Returns:
        The provenance, and what else there is to say of the file.

    Raises:
        ExportError: if there is no such form, no such chain, round or seed, if several
            tasks have it, if its masks change while it trains, if the form cannot hold
            it, or if a file cannot be written.
        StaleError: if settings or code are no longer those that made the ticket.
        ArtifactError: if the artifacts are missing.
    """
    if output.form not in FORMS:
        raise ExportError(unknown(output.form, FORMS, "format"))
    group = _find(settings, groups_in(plan), ticket)
    _refuse_moving_masks(group, ticket)
    if out.is_dir() or not os.access(out.parent, os.W_OK):
        raise ExportError(
            f"{out} cannot be written; name a file in a folder that exists as --out"
        )
    if output.hub_card:
        card.refuse_other(out)
    if standing is not None:
        _refuse_stale(standing, plan, group, ticket)
    exported = _read(settings, group, ticket)
    said: str = FORMS.load(output.form)(exported, out)
    if output.hub_card:
        card.write(exported, out, output.form, _reached(group, ticket))
    return exported.provenance, said


def _refuse_moving_masks(group: ChainGroup, ticket: Ticket) -> None:
    if group.variant.prune.policy.changes and not ticket.trained:
        raise ExportError(
            f"{group.name} finds its masks while it trains, so that no training began "
            "with one; export a control that takes them, or its network with --trained"
        )


def _read(settings: Settings, group: ChainGroup, ticket: Ticket) -> Exported:
    """The content of an export, checked against the facts that were recorded with it."""
    instance = group.at(ticket.round)
    starts = paths.starts_folder(instance)
    trained = paths.trained_folder(instance)
    folder = trained if ticket.trained else starts
    weights = files.load_weights(folder, ticket.seed)
    mask = files.load_mask(
        trained if ticket.trained else group.mask_at(ticket.round), ticket.seed
    )
    facts = files.load_facts(paths.seed_file(starts, ticket.seed))
    revived = not group.variant.rewind.freezes and masks.revived(weights, mask)
    moved = facts["mask"] != digest(mask) and not group.variant.prune.policy.changes
    if moved or revived:
        raise ArtifactError(f"{folder} does not fit its mask; run `lt-pipeline verify`")
    task = settings.tasks[group.task]
    provenance = {
        "task": group.task,
        "variant": group.name,
        "round": ticket.round,
        "seed": ticket.seed,
        "density": masks.density(mask),
        "pruned": group.variant.rewind.pruned,
        "theta0": facts["theta0"],
        "weights": digest(weights),
        "mask": digest(mask),
        "generator": "numpy Philox, pipeline.core.seeding",
        "numpy": np.__version__,
    }
    return Exported(
        task=task,
        data=paths.data_file(task.data),
        weights=weights,
        mask=mask,
        provenance=provenance | ({"trained": True} if ticket.trained else {}),
    )


def _reached(group: ChainGroup, ticket: Ticket) -> Reached | None:
    """The last test of the training that began with the ticket.

    It is that of the weights at the end. A result's test accuracy is by the task's metric.

    Returns:
        None if the ticket was not trained, or if its training diverged.
    """
    folder = paths.results_folder(group.at(ticket.round))
    result, path = folder / "result.json", folder / "curves.parquet"
    if not result.exists():
        return None
    with files.understood(result):
        diverged = files.load_json(result)["seeds"][str(ticket.seed)]["diverged"]
    if diverged:
        return None
    tests = (
        (row["step"], row["accuracy"])
        for row in parquet.load_curves(path).to_pylist()
        if (row["seed"], row["split"]) == (ticket.seed, "test")
    )
    with files.understood(path):
        step, accuracy = max(tests)
    return Reached(accuracy=accuracy, step=step)


def _refuse_stale(
    standing: Standing, plan: Plan, group: ChainGroup, ticket: Ticket
) -> None:
    what = f"{group.task}/{group.name} of round {ticket.round}"
    instance = group.at(ticket.round)
    read = [paths.starts_folder(instance), group.mask_at(ticket.round)]
    if ticket.trained:
        read = [paths.trained_folder(instance)]
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
        f"no ticket of {ticket.name}, round {ticket.round}, seed {ticket.seed}; there "
        f"are variants {', '.join(settings.variants)}, rounds 1 to {settings.rounds}, "
        f"seeds {', '.join(str(seed) for seed in settings.seeds)}"
    )
