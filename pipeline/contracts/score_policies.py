"""The contract of policies whose scores train in place of weights."""

import pickle
from collections.abc import Callable, Iterator
from functools import partial

import numpy as np

from pipeline.contracts import generated, memory
from pipeline.core import masks, policies, seeding
from pipeline.core.arrays import Mask, Scores, Weights
from pipeline.core.cuts.asked import Asked
from pipeline.core.models.layers import kernels
from pipeline.core.training.score_rules import ScoreRule, Scoring, moment

END = 12
"""steps of the training"""


def scores_what_counts(name: str) -> str:
    """The first scores are those of the tensors that count, and the same for one stream."""
    shapes = {n: tensor.shape for n, tensor in kernels(generated.NETWORK).items()}
    rule = _rule(name)
    first, again = _first(rule), _first(rule)
    if set(first) != set(rule.counted) or not set(first) <= set(shapes):
        return f"scores of {', '.join(first)}; counted is {', '.join(rule.counted)}"
    for tensor, scores in first.items():
        if scores.shape != shapes[tensor] or scores.dtype != np.float32:
            return (
                f"{tensor} is {scores.dtype} {scores.shape}, its weights {shapes[tensor]}"
            )
        if not np.isfinite(scores).all():
            return f"{tensor} has scores that are no numbers"
    same = generated.content(first) == generated.content(again)
    return "" if same else "two draws from one stream differ"


def goes_to_workers(name: str) -> str:
    """Its rule can be sent to workers, and is the same there."""
    rule = _rule(name)
    try:
        there: ScoreRule = pickle.loads(pickle.dumps(rule))
    except (pickle.PicklingError, AttributeError, TypeError) as error:
        return f"{error}; give it plain values, and a class at the top of its module"
    same = generated.content(_first(there)) == generated.content(_first(rule))
    return "" if same else "it has other scores there"


def leaves_weights_alone(name: str) -> str:
    """The weights that were drawn never change."""
    rule, weights = _rule(name), _weights()
    before = generated.content(weights)
    for _ in _steps(rule, rule.begin(weights), _first(rule)):
        if generated.content(weights) != before:
            return "they did"
    return ""


def hides_what_is_pruned(name: str) -> str:
    """A pruned weight acts as 0, and as many act as are counted."""
    rule = _rule(name)
    scoring = rule.begin(_weights())
    for step, (acting, mask) in enumerate(_steps(rule, scoring, _first(rule))):
        for tensor, kept in mask.items():
            if acting[tensor][~kept].any():
                return f"{tensor} has pruned weights that act at step {step}"
            if scoring.number(tensor) != int(kept.sum()):
                return f"{tensor} counts {scoring.number(tensor)} of {kept.sum()} weights"
    return ""


def keeps_as_many_as_asked(name: str) -> str:
    """From the step at which it is settled, as many weights act as are asked for.

    Where the record says that counts are not exact: no more in all.
    """
    policy, rule = policies.POLICIES[name], _rule(name)
    if not policy.asks_for_counts:
        return ""
    sizes = {n: tensor.size for n, tensor in generated.dense().items()}
    wanted, settled = _asked().counts(sizes), rule.settled(0, END)
    for step, (_, mask) in enumerate(_steps(rule, rule.begin(_weights()), _first(rule))):
        found = masks.kept(mask)
        right = (
            found == wanted if policy.exact else sum(found.values()) <= sum(wanted.values())
        )
        if step >= settled and not right:
            return f"{found} act at step {step}, {wanted} asked for"
    return ""


def gives_gradients(name: str) -> str:
    """Gradients of weights become gradients of scores, in place, and are numbers."""
    rule = _rule(name)
    scoring, scores = rule.begin(_weights()), _first(rule)
    next(_steps(rule, scoring, scores))
    for tensor, gradient in generated.moved(_weights(), 5).items():
        given = gradient.copy()
        scoring.pull(tensor, scores[tensor], given)
        if given.shape != gradient.shape or not np.isfinite(given).all():
            return f"those of {tensor} are none"
    return ""


def goes_on_from_its_scores(name: str) -> str:
    """From the scores of a step it goes on bit for bit."""
    rule, half = _rule(name), END // 2
    scores = _first(rule)
    steps = _steps(rule, rule.begin(_weights()), scores)
    for _ in range(half):
        next(steps)
    kept = {tensor: values.copy() for tensor, values in scores.items()}
    rest = [generated.content(acting) for acting, _ in steps]
    again = _steps(rule, rule.begin(_weights()), kept, first=half - 1)
    next(again)
    same = rest == [generated.content(acting) for acting, _ in again]
    return "" if same else "other weights act; keep everything in the scores"


def keeps_nothing(name: str) -> str:
    """Earlier calls change no weights that act."""
    return memory.kept(name, partial(_acting, name))


def _acting(name: str, seed: int) -> list[dict[str, bytes]]:
    """The weights that act at each step."""
    rule = _rule(name)
    steps = _steps(rule, rule.begin(_weights(seed)), _first(rule, seed))
    return [generated.content(acting) for acting, _ in steps]


def _asked() -> Asked:
    fractions = dict.fromkeys(generated.dense(), 0.25)
    return Asked(criterion="", fractions=fractions, scope="layerwise", rounds=2)


def _rule(name: str) -> ScoreRule:
    asks = policies.POLICIES[name].asks_for_counts
    return policies.score_rule(name, _asked() if asks else None, generated.NETWORK)


def _weights(seed: int = 0) -> Weights:
    weights = generated.theta0(seed)
    return {tensor: weights[tensor] for tensor in generated.dense()}


def _first(rule: ScoreRule, seed: int = 0) -> Scores:
    return rule.initial(seeding.generator(seed, "scores"))


def _steps(
    rule: ScoreRule, scoring: Scoring, scores: Scores, first: int = 0
) -> Iterator[tuple[Weights, Mask]]:
    """The weights that act at each step; scores move after it, as by an optimizer."""
    out = {tensor: np.zeros_like(scores[tensor]) for tensor in rule.counted}
    for step in range(first, END + 1):
        mask = scoring.act(scores, moment(step, 0, END, seed=0, round=1), out)
        yield {n: values + np.float32(0) for n, values in out.items()}, mask
        for tensor, change in generated.moved(scores, step).items():
            scores[tensor] += np.float32(0.1) * (change - scores[tensor])


PROPERTIES: tuple[Callable[[str], str], ...] = (
    scores_what_counts,
    goes_to_workers,
    leaves_weights_alone,
    hides_what_is_pruned,
    keeps_as_many_as_asked,
    gives_gradients,
    goes_on_from_its_scores,
    keeps_nothing,
)
