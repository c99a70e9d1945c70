"""Stage ``rewind``: make the weights that a round starts from, under its mask.

Pruned weights are 0, or what the variant freezes them at.

python -m pipeline.stages.rewind main-ticket-r03-s0-3
"""

from pathlib import Path
from typing import Any

from pipeline.artifacts import files, paths
from pipeline.artifacts.files import ArtifactError
from pipeline.border import user_code
from pipeline.config import params
from pipeline.config.settings import Settings
from pipeline.core.arrays import Weights
from pipeline.core.digests import digest
from pipeline.core.functions import is_function
from pipeline.core.round_starts import source_weights, start_weights
from pipeline.plan import items
from pipeline.plan.items import Item
from pipeline.run import instances
from pipeline.run.round_starts import Behind, read


def run(key: str) -> None:
    """Save one start per seed, with the hashes of θ₀ and of what it came from."""
    settings = params.load()
    item = items.find("rewind", key, settings)
    with files.atomic_folder(item.path("starts")) as folder:
        for seed in item.seeds:
            arrays, facts = made(item, settings, seed)
            files.save_arrays(paths.seed_file(folder, seed), arrays, **facts)


def made(item: Item, settings: Settings, seed: int) -> tuple[Weights, dict[str, Any]]:
    """The start of one seed, and the facts beside it."""
    variant, task = settings.variants[item["variant"]], settings.tasks[item["task"]]
    behind = Behind(
        data=item.path("data"),
        theta0=item.path("theta0"),
        mask=item.path("mask"),
        weights=item.path("behind"),
        round=item.number("round"),
        source=settings.tasks.get(str(item.fields.get("mask_task"))),
    )
    known = read(behind, task, variant, seed)
    _check_theta0(behind.theta0, seed, digest(known.theta0))
    to = task.program.start(variant.rewind.to)
    with user_code.blamed(to if is_function(to) else None):
        source = source_weights(known, to, variant.rewind.draw)
    facts = {
        "theta0": digest(known.theta0),
        "source": digest(source),
        "mask": digest(known.mask),
    }
    return start_weights(known, source, variant.rewind.pruned), facts


def _check_theta0(folder: Path, seed: int, found: str) -> None:
    """Check that θ₀ is still what the stage ``init`` wrote."""
    path = paths.seed_file(folder, seed)
    if files.load_facts(path)["theta0"] != found:
        raise ArtifactError(
            f"{path}: the weights are not those that init drew; "
            "delete the folder and run `dvc repro`"
        )


if __name__ == "__main__":
    instances.run_keyed("rewind", run)
