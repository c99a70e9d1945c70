"""Stage ``init``: draw θ₀, the weights at step 0, for a group of seeds.

python -m pipeline.stages.init main-s0-3
"""

from pipeline.artifacts import files, paths
from pipeline.config import params
from pipeline.config.settings import network_for
from pipeline.core import seeding
from pipeline.core.digests import digest
from pipeline.core.models.init import initial_weights
from pipeline.plan import items
from pipeline.run import instances


def run(key: str) -> None:
    """Save one file of initial weights per seed, with its hash."""
    settings = params.load()
    item = items.find("init", key, settings)
    task = settings.tasks[item["task"]]
    network = network_for(task, files.load_description(item.path("data")))
    with files.atomic_folder(item.path("theta0")) as folder:
        for seed in item.seeds:
            rng = seeding.generator(seed, "init")
            theta0 = initial_weights(network, task.model.init, rng)
            path = paths.seed_file(folder, seed)
            files.save_arrays(path, theta0, theta0=digest(theta0))


if __name__ == "__main__":
    instances.run_keyed("init", run)
