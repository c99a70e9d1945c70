"""Where a round begins: what ``rewind.to`` names, under its mask, as ``pruned`` says."""

from pipeline.artifacts import files, paths
from pipeline.config.settings import Task, network_for
from pipeline.core import masks, rewinding, seeding, southampton, starts
from pipeline.core.arrays import Mask, Weights
from pipeline.core.models.layers import kernels
from pipeline.core.starts.given import Given
from pipeline.plan.chains import Chain


def start_mask(chain: Chain, task: Task, *, round: int, seed: int) -> Mask:
    """The mask that a round begins with: of a gradual one, one that keeps everything.

    Raises:
        ArtifactError: if the round's mask is missing.
    """
    if not chain.variant.prune.gradual:
        return files.load_mask(chain.mask_at(round), seed)
    facts = files.load_facts(paths.data_file(task.data))
    tensors = kernels(network_for(task, facts))
    return masks.dense(tensors, tensors)


def start_weights(
    chain: Chain, mask: Mask, source: Weights, *, round: int, seed: int
) -> Weights:
    """The weights that a round starts from.

    Args:
        chain: whose recipe says what pruned weights are.
        mask: of the round.
        source: its ``source_weights``.
        round: whose mask was cut from weights that the recipe may ask for.
        seed: the replicate.

    Raises:
        ArtifactError: if an earlier stage's weights are missing.
    """
    action = chain.variant.rewind.pruned
    trained: Weights = {}
    if action in rewinding.LOOK_AT_TRAINED:
        trained = files.load_weights(chain.weights_behind(round), seed)
    theta0 = paths.theta0_folder(chain.task, chain.seeds)
    return rewinding.frozen_start(
        action,
        source,
        mask,
        theta0=files.load_weights(theta0, seed),
        trained=trained,
    )


def source_weights(
    chain: Chain, task: Task, mask: Mask, *, round: int, seed: int
) -> Weights:
    """The weights that a round starts from, before its mask.

    Args:
        chain: whose recipe says what to start from.
        task: whose model draws fresh weights.
        mask: of the round.
        round: draws differ between rounds.
        seed: the replicate.

    Raises:
        ArtifactError: if an earlier stage's weights are missing.
    """
    rewind = chain.variant.rewind
    start = starts.STARTS[rewind.to]
    trained: Weights = {}
    if start.needs_trained:
        trained = files.load_weights(chain.weights_behind(round), seed)
    early: Weights = {}
    if start.step == "needed":
        early = files.load_weights(chain.weights_behind(round), seed)
    facts = files.load_facts(paths.data_file(task.data))
    given = Given(
        theta0=files.load_weights(paths.theta0_folder(chain.task, chain.seeds), seed),
        trained=trained,
        early=early,
        mask=mask,
        network=network_for(task, facts),
        init=task.model.init,
        rng=seeding.generator(seed, "reinit", round=round, copy=rewind.draw or 0),
    )
    source = starts.start_source(rewind.to, given)
    if task.compat and rewind.to == "theta0" and round > 1:
        before = files.load_weights(chain.weights_behind(round), seed)
        return southampton.with_trained_biases(source, before)
    return source
