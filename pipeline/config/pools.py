"""Check the settings with which the networks of several rounds are mixed into one."""

from collections.abc import Iterator

from pipeline.config.settings import Settings, Variant, build_network
from pipeline.core.models.layers import has_statistics
from pipeline.core.pools import Pooling


def problems(
    where: str, variant: Variant, pool: Pooling, settings: Settings
) -> Iterator[str]:
    """Yield one line for each impossible setting of a pool; the first counts."""
    owner = variant.prune.owner
    if owner is None or owner.task is not None:
        yield f"{where}: it mixes rounds of another variant; name that one in prune.mask"
        return
    if variant.prune.transform is not None:
        yield f"{where}: the mask comes from the pool; remove transform, or the pool"
    if settings.variants[owner.variant].rewind.freezes:
        yield (
            f"{where}: pruned weights of {owner.variant} stay frozen in its networks, "
            "those of a pool are 0; pool a variant with rewind.pruned: zero"
        )
    yield from _shares(f"{where}.shares", pool.shares)
    yield from _batches(f"{where}.recalibration_batches", variant, pool, settings)


def _shares(where: str, shares: tuple[float, ...]) -> Iterator[str]:
    if not shares:
        yield f"{where}: none given; write [0.5] for means, or leave it out"
    for share in shares:
        if not 0 < share < 1:
            yield f"{where}: {share} found; give shares between 0 and 1, such as 0.5"
        if shares.count(share) > 1:
            yield f"{where}: {share} stands there twice"


def _batches(
    where: str, variant: Variant, pool: Pooling, settings: Settings
) -> Iterator[str]:
    batches = pool.recalibration_batches
    if batches is None:
        return
    if batches < 1:
        yield f"{where}: {batches} found; give 1 or more, or null"
    networks = (build_network(settings.tasks[task]) for task in variant.tasks)
    if not any(has_statistics(network) for network in networks):
        yield (
            f"{where}: {batches} found; no network of these tasks has running statistics, "
            "write null"
        )
