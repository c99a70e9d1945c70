"""The rule of a round that finds its mask while it trains, as its recipe asks."""

import pickle

from pipeline.border import user_code, user_failures
from pipeline.border.user_code import CodeError
from pipeline.config.settings import Prune, Task, build_network
from pipeline.core import policies
from pipeline.core.functions import function_in, is_function
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
    """How the mask changes while the weights of a round train; None if it stays.

    Raises:
        CodeError: a function of the user's fails, or gives no rule.
    """
    if not prune.policy.changes or prune.policy.trains_scores:
        return None
    assert prune.schedule is not None
    asked, network = expected.asked(task, prune, round), build_network(task)
    if not is_function(prune.schedule):
        return policies.rule(prune.schedule, asked, network)
    with user_code.blamed(prune.schedule):
        return _usable(prune.schedule, policies.rule(prune.schedule, asked, network))


def origin(task: Task, prune: Prune, round: int) -> str | None:
    """A text of all from which a function of the user's makes a rule; None for built-ins.

    It tells such rules apart. Their own text cannot: it may have an address in it, or
    leave out something that counts.

    Raises:
        CodeError: the module of the function is not there.
    """
    if prune.schedule is None or not is_function(prune.schedule):
        return None
    code = user_code.digest_behind(user_code.module_of(function_in(prune.schedule)))
    return repr((prune.schedule, code, expected.asked(task, prune, round)))


def _usable(name: str, rule: MaskRule) -> MaskRule:
    """The rule that a function of the user's gives, if workers can get it.

    Raises:
        CodeError: it is no rule.
    """
    if not hasattr(rule, "steps"):
        raise CodeError(
            f"{name} returns {type(rule).__name__}; return a rule by which a mask changes "
            "(pipeline/core/training/mask_rules.py)"
        )
    try:
        pickle.dumps(rule)
    except (pickle.PicklingError, AttributeError, TypeError) as error:
        raise CodeError(
            f"{name}: its rule cannot be sent to workers ({user_failures.said(error)}); "
            "give it plain values, and a class at the top of its module"
        ) from None
    return rule
