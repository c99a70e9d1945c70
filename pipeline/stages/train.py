"""Stage ``train``: train the dense network, round 0 of every variant of a task.

python -m pipeline.stages.train main-s0-3
"""

from pipeline.artifacts.paths import DENSE
from pipeline.config import params
from pipeline.config.settings import Settings
from pipeline.core import data_orders
from pipeline.plan import items
from pipeline.plan.items import Item
from pipeline.run import instances, rounds
from pipeline.run.sources import Source


def run(key: str) -> None:
    """Train from θ₀ with a mask that keeps everything."""
    settings = params.load()
    item = items.find("train", key, settings)
    behind = params.behind(item["task"], None)
    rounds.run(item, source(item, settings), behind, at_once=settings.workers)


def source(item: Item, settings: Settings) -> Source:
    """The trainings of an instance."""
    task = settings.tasks[item["task"]]
    return Source(
        label=item.label,
        seeds=item.seeds,
        task=task,
        data=item.path("data"),
        engine=item["engine"],
        metric=task.program.metric,
        starts=item.path("theta0"),
        masks=None,
        round=0,
        copies=data_orders.of_round(DENSE, common_noise=task.train.common_noise),
    )


if __name__ == "__main__":
    instances.run_keyed("train", run)
