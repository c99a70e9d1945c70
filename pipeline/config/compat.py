"""Check that a task with ``compat`` asks only for what its program can do."""

from collections.abc import Iterator
from operator import attrgetter

from pipeline.config.settings import Task, Variant
from pipeline.config.yaml_shape import choose, shown
from pipeline.core.models.layers import Network
from pipeline.core.programs import PROGRAMS, Demands
from pipeline.engines.suitability import without_norm


def problems(where: str, task: Task, network: Network) -> Iterator[str]:
    """Yield one line for each setting of a task that its program cannot do."""
    if task.compat is not None and task.compat not in PROGRAMS:
        yield f"{where}.compat: {choose(task.compat, PROGRAMS)}"
    name, program = f"compat: {task.compat}", task.program
    yield from _other_settings(where, task, program.of_task, name)
    if not program.norms and not without_norm(network):
        yield (
            f"{where}.model.name: it has batch norm, which {name} does not emulate; take a "
            "network without, such as lenet-300-100 or conv-2"
        )
    num_test = task.dataset.num_test
    if program.full_batches and task.train.batch_size > num_test:
        yield (
            f"{where}.train.batch_size: {task.train.batch_size} is more than the "
            f"{num_test} test images, which {name} counts in full batches; give a smaller "
            "one"
        )


def of_variant(where: str, variant: Variant, name: str, task: Task) -> Iterator[str]:
    """Yield one line for each setting of a variant that a task's program cannot do.

    Args:
        where: path of the variant in params.yaml.
        variant: the settings of the variant.
        name: name of one of its tasks.
        task: the settings of this task.
    """
    said = f"compat: {task.compat} of task {name}"
    yield from _other_settings(where, variant, task.program.of_variant, said)


def _other_settings(
    where: str, settings: object, demands: Demands, said: str
) -> Iterator[str]:
    for setting, possible in demands.items():
        found = attrgetter(setting)(settings)
        if found not in possible:
            yield (
                f"{where}.{setting}: {shown(found)} found; {said} needs "
                f"{' or '.join(possible)}"
            )
