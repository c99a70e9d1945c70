"""The contract of policies whose masks change while a round trains."""

import pickle
from collections.abc import Callable

from pipeline.contracts import generated, memory
from pipeline.core import masks, policies, seeding
from pipeline.core.arrays import Mask
from pipeline.core.cuts.asked import Asked
from pipeline.core.models.layers import kernels
from pipeline.core.training.mask_rules import LivingMask, MaskRule, Seen

END = 40
"""steps of the training"""


def changes_in_order(name: str) -> str:
    """The steps at which the mask changes ascend, within the training."""
    steps = list(_rule(name).steps(0, END))
    if not steps or steps != sorted(set(steps)) or not 0 <= steps[0] <= steps[-1] <= END:
        return f"steps(0, {END}) gives {steps}"
    return ""


def ends_as_asked(name: str) -> str:
    """In the end as many weights are kept as the recipe asks for, in every tensor.

    Where the record says that counts are not exact: no more in all.
    """
    wanted = _asked().counts({n: kept.size for n, kept in generated.dense().items()})
    found = masks.kept(_trained(name).mask)
    exact = policies.POLICIES[name].exact
    right = found == wanted if exact else sum(found.values()) <= sum(wanted.values())
    return "" if right else f"{found} kept, {wanted} asked for"


def goes_to_workers(name: str) -> str:
    """Its rule can be sent to workers, and is the same there."""
    rule = _rule(name)
    try:
        there = pickle.loads(pickle.dumps(rule))
    except (pickle.PicklingError, AttributeError, TypeError) as error:
        return f"{error}; give it plain values, and a class at the top of its module"
    return "" if there.steps(0, END) == rule.steps(0, END) else "it has other steps there"


def keeps_its_tensors(name: str) -> str:
    """The mask has the tensors that count, whole, before and after every change."""
    shapes = {n: tensor.shape for n, tensor in kernels(generated.NETWORK).items()}
    found = _trained(name).mask
    if set(found) != set(_rule(name).counted):
        return f"it has {', '.join(found)}, counted is {', '.join(_rule(name).counted)}"
    return masks.problem(found, shapes)


def revives_as_declared(name: str) -> str:
    """Pruned weights come back only if its record says so."""
    living, before = _begun(name), _first(name)
    for step in _rule(name).steps(0, END):
        living.change(_seen(step))
        if not masks.is_nested(living.mask, before) and not policies.POLICIES[name].revives:
            return f"revives: False declared, and a weight came back at step {step}"
        before = {n: kept.copy() for n, kept in living.mask.items()}
    return ""


def goes_on_from_its_state(name: str) -> str:
    """From a saved state it goes on bit for bit."""
    steps = _rule(name).steps(0, END)
    first, second = _begun(name), _begun(name)
    for number, step in enumerate(steps):
        if number == len(steps) // 2:
            second.restore(first.state())
        first.change(_seen(step))
        if number >= len(steps) // 2:
            second.change(_seen(step))
    same = generated.content(first.state()) == generated.content(second.state())
    return "" if same else "the states differ; keep everything in state()"


def keeps_nothing(name: str) -> str:
    """Earlier calls change no mask."""
    return memory.kept(name, lambda seed: generated.content(_trained(name, seed).mask))


def _asked() -> Asked:
    fractions = dict.fromkeys(generated.dense(), 0.25)
    return Asked(criterion="magnitude", fractions=fractions, scope="layerwise", rounds=2)


def _rule(name: str) -> MaskRule:
    return policies.rule(name, _asked(), generated.NETWORK)


def _first(name: str) -> Mask:
    """A mask that keeps everything, or as many as asked for where the policy cuts first."""
    dense = generated.dense()
    if policies.POLICIES[name].begins_dense:
        return dense
    wanted = _asked().counts({n: kept.size for n, kept in dense.items()})
    for tensor, kept in dense.items():
        order = seeding.generator(0, "reinit").permutation(kept.size)
        kept.reshape(-1)[order[wanted[tensor] :]] = False
    return dense


def _begun(name: str) -> LivingMask:
    return _rule(name).begin(_first(name), 0, END)


def _trained(name: str, seed: int = 0) -> LivingMask:
    living = _begun(name)
    for step in _rule(name).steps(0, END):
        living.change(_seen(step, seed))
    return living


def _seen(step: int, seed: int = 0) -> Seen:
    weights = generated.moved(generated.theta0(seed), step)
    return Seen(
        step=step,
        weights=weights,
        gradients=lambda: generated.moved(weights, step + 1),
        draw=lambda purpose: seeding.generator(
            seed, "mask_regrow", copy=f"{purpose}/{step}"
        ),
    )


PROPERTIES: tuple[Callable[[str], str], ...] = (
    changes_in_order,
    ends_as_asked,
    goes_to_workers,
    keeps_its_tensors,
    revives_as_declared,
    goes_on_from_its_state,
    keeps_nothing,
)
