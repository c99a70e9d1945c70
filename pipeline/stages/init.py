"""Stage ``init``: draw θ₀, the weights at step 0, for a group of seeds.

python -m pipeline.stages.init main 0,1,2,3
"""

import sys

from pipeline.artifacts import files, paths
from pipeline.border import exits
from pipeline.config import params
from pipeline.config.settings import network_for
from pipeline.core import seeding
from pipeline.core.digests import digest
from pipeline.core.models.init import initial_weights


def run(task_name: str, seeds: tuple[int, ...]) -> None:
    """Save one file of initial weights per seed, with its hash."""
    task = params.load().tasks[task_name]
    network = network_for(task, files.load_facts(paths.data_file(task.data)))
    with files.atomic_folder(paths.theta0_folder(task_name, seeds)) as folder:
        for seed in seeds:
            rng = seeding.generator(seed, "init")
            theta0 = initial_weights(network, task.model.init, rng)
            path = paths.seed_file(folder, seed)
            files.save_arrays(path, theta0, theta0=digest(theta0))


if __name__ == "__main__":
    with exits.one_line_errors():
        run(sys.argv[1], paths.parse_seeds(sys.argv[2]))
