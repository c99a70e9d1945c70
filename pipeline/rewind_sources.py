"""Which weights a round starts from, before its mask: what ``rewind.to`` names."""

from pipeline import artifacts, params
from pipeline.core import seeding
from pipeline.core.arrays import Weights
from pipeline.core.models.init import initial_weights
from pipeline.params import Rewind, Task


def source_weights(
    rewind: Rewind, task: Task, theta0: Weights, *, seed: int, round: int
) -> Weights:
    """The weights that a round starts from, before its mask.

    Args:
        rewind: of the variant.
        task: whose model draws fresh weights for ``reinit``.
        theta0: of this seed.
        seed: the replicate.
        round: fresh draws differ between rounds.
    """
    if rewind.to == "theta0":
        return theta0
    facts = artifacts.load_facts(artifacts.data_file(task.data))
    network = params.network_for(task, facts)
    assert rewind.draw is not None
    rng = seeding.generator(seed, "reinit", round=round, copy=rewind.draw)
    return initial_weights(network, task.model.init, rng)
