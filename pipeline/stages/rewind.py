"""Stage ``rewind``: where a round starts: its source's weights under its mask.

Pruned weights are 0, or what the variant freezes them at.

python -m pipeline.stages.rewind main ticket 3 0,1,2,3
"""

import sys
from pathlib import Path

from pipeline.artifacts import files, paths
from pipeline.artifacts.files import ArtifactError
from pipeline.border import exits
from pipeline.config import params
from pipeline.core.arrays import Weights
from pipeline.core.digests import digest
from pipeline.plan.chains import find_chain
from pipeline.run.round_starts import source_weights, start_mask, start_weights


def run(task_name: str, variant: str, round: int, seeds: str) -> None:
    """Save one start per seed, with the hashes of θ₀ and of what it came from."""
    settings = params.load()
    chain = find_chain(settings, task_name, variant, seeds)
    task = settings.tasks[task_name]
    theta0_folder = paths.theta0_folder(task_name, chain.seeds)
    with files.atomic_folder(paths.starts_folder(chain.at(round))) as folder:
        for seed in chain.seeds:
            theta0 = _checked_theta0(theta0_folder, seed)
            mask = start_mask(chain, task, round=round, seed=seed)
            source = source_weights(chain, task, mask, round=round, seed=seed)
            files.save_arrays(
                paths.seed_file(folder, seed),
                start_weights(chain, mask, source, round=round, seed=seed),
                theta0=digest(theta0),
                source=digest(source),
                mask=digest(mask),
            )


def _checked_theta0(folder: Path, seed: int) -> Weights:
    """θ₀, if it still is what the init stage wrote."""
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
        run(sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4])
