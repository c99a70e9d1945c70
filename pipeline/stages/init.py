"""Stage ``init``: draw θ₀, the weights at step 0, for a group of seeds.

python -m pipeline.stages.init main-s0-3
"""

from typing import Any

from pipeline.artifacts import files, paths
from pipeline.border.user_code import CodeError
from pipeline.config import params
from pipeline.config.settings import Model, Settings, network_for
from pipeline.core import seeding
from pipeline.core.arrays import Weights
from pipeline.core.digests import digest
from pipeline.core.models.init import initial_weights
from pipeline.core.models.layers import Module
from pipeline.plan import items
from pipeline.plan.items import Item
from pipeline.run import instances


def run(key: str) -> None:
    """Save one file of initial weights per seed, with its hash."""
    settings = params.load()
    item = items.find("init", key, settings)
    with files.atomic_folder(item.path("theta0")) as folder:
        for seed in item.seeds:
            arrays, facts = made(item, settings, seed)
            files.save_arrays(paths.seed_file(folder, seed), arrays, **facts)


def made(item: Item, settings: Settings, seed: int) -> tuple[Weights, dict[str, Any]]:
    """The weights of one seed at step 0, and the facts beside them."""
    task = settings.tasks[item["task"]]
    network = network_for(task, files.load_description(item.path("data")))
    rng = seeding.generator(seed, "init", copy=task.model.draw)
    theta0 = initial_weights(network, task.model.init, rng)
    if seed == item.seeds[0] and isinstance(network, Module):
        _check_repeats(network, task.model, seed, digest(theta0))
    return theta0, {"theta0": digest(theta0)}


def _check_repeats(network: Module, model: Model, seed: int, found: str) -> None:
    """Check that the module draws from torch's generator alone, which is seeded."""
    rng = seeding.generator(seed, "init", copy=model.draw)
    again = initial_weights(network, model.init, rng)
    if digest(again) != found:
        raise CodeError(
            f"{model.name} draws other weights at every call; draw them with torch, not "
            "with numpy or random"
        )


if __name__ == "__main__":
    instances.run_keyed("init", run)
