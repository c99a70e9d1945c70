"""Read from the user's mask files what settings depend on: how many weights rounds keep."""

from collections.abc import Iterator
from dataclasses import replace
from functools import lru_cache
from math import prod
from pathlib import Path

from pipeline.config.mask_from import MaskFrom
from pipeline.config.settings import Settings, Task, Variant, build_network
from pipeline.core import masks
from pipeline.core.models.layers import Network, kernels
from pipeline.data import mask_files
from pipeline.data.mask_files import MaskFileError

Counts = dict[str, int]


def with_known(settings: Settings, root: Path) -> Settings:
    """The same settings, with the counts of the masks that are read from files.

    Raises:
        MaskFileError: if a file is no mask of the network of a task that uses it.
    """
    variants = {
        name: replace(variant, prune=replace(variant.prune, kept=kept))
        if (kept := _kept(name, variant, settings, root))
        else variant
        for name, variant in settings.variants.items()
    }
    return replace(settings, variants=variants)


def _kept(
    name: str, variant: Variant, settings: Settings, root: Path
) -> tuple[Counts, ...] | None:
    source = variant.prune.mask
    if not isinstance(source, MaskFrom) or source.file is None:
        return None
    found: tuple[Counts, ...] = ()
    for task in variant.tasks:
        try:
            found = tuple(_rounds(source, settings.tasks[task], settings.rounds, root))
        except MaskFileError as error:
            where = f"variants.{name}.prune.mask.file"
            raise MaskFileError(f"params.yaml: {where}: task {task}: {error}") from None
    return found


def _rounds(source: MaskFrom, task: Task, rounds: int, root: Path) -> Iterator[Counts]:
    """The counts of round 0, which keeps all that the files name, and of the others."""
    network, first = build_network(task), Counts()
    for round in range(1, rounds + 1):
        name = source.file_at(round)
        path = root / name
        written = path.stat().st_mtime_ns if path.exists() else 0
        kept = _counts(name, network, root, written)
        first = first or kept
        if kept.keys() != first.keys():
            raise MaskFileError(
                f"{name}: it masks {', '.join(kept)}, the file of round 1 "
                f"{', '.join(first)}; mask the same tensors in all rounds"
            )
        if round == 1:
            yield {tensor: prod(kernels(network)[tensor].shape) for tensor in kept}
        yield dict(kept)


@lru_cache(maxsize=256)
def _counts(name: str, network: Network, root: Path, _: int) -> Counts:
    return masks.kept(mask_files.read(name, network, root))
