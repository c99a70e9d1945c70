"""Check what a variant takes from another one's chain beside its mask."""

from collections.abc import Iterator

from pipeline.config import pools
from pipeline.config.settings import Settings, Variant, build_network
from pipeline.core.models import blocks
from pipeline.core.models.blocks import Blocks
from pipeline.core.starts import STARTS
from pipeline.core.transforms import TRANSFORMS


def problems(where: str, variant: Variant, settings: Settings) -> Iterator[str]:
    """Yield one line for each impossible setting; masks have been checked before."""
    yield from _blocks(f"{where}.prune", variant, settings)
    if variant.prune.pool is not None:
        yield from pools.problems(
            f"{where}.prune.pool", variant, variant.prune.pool, settings
        )
    if STARTS[variant.rewind.to].needs_taken:
        yield from _start(f"{where}.rewind", variant, settings)


def _blocks(where: str, variant: Variant, settings: Settings) -> Iterator[str]:
    prune = variant.prune
    if not prune.maps_blocks:
        if prune.blocks is not None:
            able = " or ".join(name for name, one in TRANSFORMS.items() if one.maps_blocks)
            yield (
                f"{where}.blocks: nothing here maps blocks; write transform: {able}, or "
                "remove them"
            )
        return
    owner = prune.owner
    assert owner is not None, "only another variant's mask is transformed"
    for task in variant.tasks:
        source, network = (
            build_network(settings.tasks[name]) for name in (owner.task or task, task)
        )
        try:
            blocks.sources(source, network, prune.blocks or Blocks())
        except ValueError as error:
            yield f"{where}.blocks: from task {owner.task or task} to task {task}: {error}"


def _start(where: str, variant: Variant, settings: Settings) -> Iterator[str]:
    prune, rewind = variant.prune, variant.rewind
    if prune.owner is None:
        its = "its own" if prune.own else f"read from {prune.file}"
        yield (
            f"{where}.to: {rewind.to} looks at the start of the variant whose mask is "
            f"taken, and the mask is {its}; name that variant in prune.mask"
        )
        return
    named = settings.variants[prune.owner.variant].rewind
    carries = STARTS[rewind.to].step is not None
    if carries and rewind.first_step != named.first_step:
        yield (
            f"{where}.step: {rewind.step or 'null'} found; rounds of "
            f"{prune.owner.variant} begin at step {named.first_step}: write "
            f"{named.step or 'null'}"
        )
    if prune.transform and not prune.maps_blocks and prune.owner.task:
        record = TRANSFORMS[prune.transform]
        if record.between_networks:
            yield (
                f"{where}.to: {prune.transform} maps no blocks, so that no start can be "
                "carried over; write theta0"
            )
