"""Stage ``rewind``: make the weights that a round starts from, under its mask.

Pruned weights are 0, or what the variant freezes them at.

python -m pipeline.stages.rewind main-ticket-r03-s0-3
"""

import sys
from pathlib import Path

from pipeline.artifacts import files, paths
from pipeline.artifacts.files import ArtifactError
from pipeline.border import exits
from pipeline.config import params
from pipeline.core.arrays import Weights
from pipeline.core.digests import digest
from pipeline.plan import items
from pipeline.run.round_starts import Behind, source_weights, start_mask, start_weights


def run(key: str) -> None:
    """Save one start per seed, with the hashes of θ₀ and of what it came from."""
    settings = params.load()
    item = items.find("rewind", key, settings)
    variant, task = settings.variants[item["variant"]], settings.tasks[item["task"]]
    behind = Behind(
        data=item.path("data"),
        theta0=item.path("theta0"),
        mask=item.path("mask"),
        weights=item.path("behind"),
        round=item.number("round"),
    )
    with files.atomic_folder(item.path("starts")) as folder:
        for seed in item.seeds:
            theta0 = _checked_theta0(behind.theta0, seed)
            mask = start_mask(behind, task, variant, seed)
            source = source_weights(behind, task, variant, mask, seed)
            files.save_arrays(
                paths.seed_file(folder, seed),
                start_weights(behind, variant, mask, source, seed),
                theta0=digest(theta0),
                source=digest(source),
                mask=digest(mask),
            )


def _checked_theta0(folder: Path, seed: int) -> Weights:
    """θ₀, after a check that it is still what the stage ``init`` wrote."""
    theta0 = files.load_weights(folder, seed)
    path = paths.seed_file(folder, seed)
    if files.load_facts(path)["theta0"] != digest(theta0):
        raise ArtifactError(
            f"{path}: the weights are not those that init drew; "
            "delete the folder and run `dvc repro`"
        )
    return theta0


if __name__ == "__main__":
    with exits.one_line_errors():
        run(items.key_in(sys.argv))
