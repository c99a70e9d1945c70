"""What a task with ``compat`` may ask for: what its program can do, and nothing else."""

from collections.abc import Iterator, Mapping
from operator import attrgetter

from pipeline.config.yaml_shape import shown
from pipeline.core.models.layers import Network
from pipeline.engines.suitability import without_norm

Demands = Mapping[str, tuple[str, ...]]
"""setting -> the values that are possible"""

OF_TASK: Demands = {
    "train.optimizer": ("adam",),
    "train.augment": ("none",),
    "train.test_cadence": ("every",),
    "train.engine": ("auto",),
    "train.device": ("cpu",),
}
OF_VARIANT: Demands = {
    "prune.mask": ("own",),
    "prune.schedule": ("iterative",),
    "prune.criterion": ("magnitude",),
    "prune.scope": ("layerwise",),
    "rewind.to": ("theta0", "reinit"),
    "rewind.pruned": ("zero",),
}


def other_settings(
    where: str, settings: object, demands: Demands, compat: str
) -> Iterator[str]:
    """What of a task or a variant its program does otherwise; the first one counts.

    Args:
        where: it stands in params.yaml.
        settings: has every setting of the demands as an attribute.
        demands: OF_TASK or OF_VARIANT.
        compat: what asks for them, as a reader finds it.
    """
    for setting, possible in demands.items():
        found = attrgetter(setting)(settings)
        if found not in possible:
            yield (
                f"{where}.{setting}: {shown(found)} found; {compat} needs "
                f"{' or '.join(possible)}"
            )


def unfit_network(where: str, network: Network, compat: str) -> Iterator[str]:
    """Batch norm, whose scales the program prunes like weights."""
    if not without_norm(network):
        yield (
            f"{where}: it has batch norm, which {compat} does not emulate; take a network "
            "without, such as lenet-300-100 or conv-2"
        )


def unfit_batch(where: str, batch_size: int, num_test: int, compat: str) -> Iterator[str]:
    """No full batch of test images: none would be looked at."""
    if batch_size > num_test:
        yield (
            f"{where}: {batch_size} is more than the {num_test} test images, which "
            f"{compat} counts in full batches; give a smaller one"
        )
