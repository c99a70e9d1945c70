"""Stage ``retrain``: train a round of a variant from its start, under its mask.

python -m pipeline.stages.retrain main-ticket-r03-s0-3
"""

from dataclasses import replace

from pipeline.config import params
from pipeline.config.settings import Settings, total_steps
from pipeline.core import data_orders
from pipeline.core.training.schedules import for_start
from pipeline.core.training.settings import for_scores
from pipeline.plan import items
from pipeline.plan.items import Item
from pipeline.run import instances, rounds, rules
from pipeline.run.sources import Source


def run(key: str) -> None:
    """Train from the rewound weights, and from the rewound step of schedule and data order.

    The mask holds after every step, or changes as the policy says; scores may train in
    place of weights.
    Fine-tuning replaces the schedule by its last rate.
    """
    settings = params.load()
    item = items.find("retrain", key, settings)
    behind = params.behind(item["task"], item["variant"])
    rounds.run(item, source(item, settings), behind, at_once=settings.workers)


def source(item: Item, settings: Settings) -> Source:
    """The trainings of an instance."""
    variant, round = settings.variants[item["variant"]], item.number("round")
    task = settings.tasks[item["task"]]
    train = for_start(task.train, variant.rewind.to, total_steps(task))
    train = for_scores(train, variant.prune.scores)
    task = replace(task, train=train)
    return Source(
        label=item.label,
        seeds=item.seeds,
        task=task,
        data=item.path("data"),
        engine=item["engine"],
        metric=task.program.metric,
        starts=item.path("start"),
        masks=None if variant.prune.policy.begins_dense else item.path("mask"),
        round=round,
        copies=data_orders.of_round(item["variant"], common_noise=task.train.common_noise),
        first_step=variant.rewind.first_step,
        last_step=variant.rewind.last_step,
        rule=rules.mask_rule(task, variant.prune, round),
        rule_origin=rules.origin(task, variant.prune, round),
        score_rule=rules.score_rule(task, variant.prune, round),
    )


if __name__ == "__main__":
    instances.run_keyed("retrain", run)
