"""The rule of a round that finds its mask while it trains, as its recipe asks."""

from pipeline.config.settings import Prune, Task, build_network
from pipeline.core import policies
from pipeline.core.training.mask_rules import MaskRule
from pipeline.core.training.score_rules import ScoreRule
from pipeline.plan import expected


def score_rule(task: Task, prune: Prune, round: int) -> ScoreRule | None:
    """How scores make the network of a round; None where weights train."""
    policy = prune.policy
    if not policy.trains_scores:
        return None
    assert prune.schedule is not None
    wanted = expected.asked(task, prune, round) if policy.asks_for_counts else None
    return policies.score_rule(prune.schedule, wanted, build_network(task))


def mask_rule(task: Task, prune: Prune, round: int) -> MaskRule | None:
    """How the mask changes while the weights of a round train; None if it stays."""
    if not prune.policy.changes or prune.policy.trains_scores:
        return None
    assert prune.schedule is not None
    return policies.rule(
        prune.schedule, expected.asked(task, prune, round), build_network(task)
    )
