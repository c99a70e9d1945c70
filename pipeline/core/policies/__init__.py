"""Policies say how a round gets its mask. Each is one record, and a file if it has code.

The record says what a round reads, what trains in it, whether its mask changes meanwhile,
and what always holds for the masks. Every other file asks the record, never a policy's
name. ``iterative`` and ``one-shot`` differ only in what they read, so they need no code of
their own: a cut (``core/cuts``) makes the mask from what they read.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import prod
from typing import TYPE_CHECKING, Any, Literal

from pipeline.core.counts import Scope
from pipeline.core.cuts.asked import Asked
from pipeline.core.models.layers import Network, kernels, layers_of, parameters
from pipeline.core.registry import Entry, Registry
from pipeline.core.training.engine import Ability

if TYPE_CHECKING:
    from pipeline.core.training.mask_rules import MaskRule
    from pipeline.core.training.score_rules import ScoreRule

RECIPE = ("schedule", "criterion", "scope", "fraction")
"""the keys of ``prune`` with which a recipe defines masks of its own"""
WITHOUT_CRITERION = ("schedule", "scope", "fraction")
"""the keys of a policy whose scores are trained"""
ALONE = ("schedule",)
"""the key of a policy that finds out itself how many weights it keeps"""
TAKEN = "taken"
"""the policy of a variant that names another one's mask"""
READ = "read"
"""the policy of a variant that names a file with masks"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Policy(Entry):
    """How a round gets its mask."""

    module: str = ""
    """the module with the rule by which a mask changes; empty = masks do not change"""
    options: Mapping[str, Any] = field(default_factory=dict)
    """arguments of the module's ``rule`` by which policies of one module differ"""
    trains_scores: bool = False
    """whether scores train in place of weights, so that the rule is a ``ScoreRule``"""
    reads: Literal["previous", "dense", "theta0", "mask", "file"] | None
    """what a mask is made from: the networks trained in the previous round, the dense
    networks, θ₀, another variant's mask, or a file; None = nothing before its round"""
    nested: bool
    """whether every round keeps only what the round before it kept"""
    needs: tuple[str, ...] = RECIPE
    """the keys of ``prune`` that a recipe must give; the others of RECIPE stay null"""
    criteria: tuple[str, ...] | None = None
    """the criteria that the policy works with; None = all"""
    scopes: tuple[Scope, ...] | None = None
    """the scopes that it works in; None = all"""
    exact: bool = True
    """whether exactly as many weights are kept as are asked for; else at most as many"""
    needs_layers: bool = False
    """whether its rule reads layer records, which a torch module has not"""
    revives: bool = False
    """whether a mask that changes takes pruned weights back in"""

    @property
    def changes(self) -> bool:
        """Whether the mask changes while its round trains.

        Such a round holds the weights that it prunes at 0. Its final mask is saved beside
        its weights, because no training ever began with that mask.
        """
        return bool(self.module)

    @property
    def asks_for_counts(self) -> bool:
        """Whether the recipe says how many weights are kept, and not the training."""
        return "fraction" in self.needs

    @property
    def begins_dense(self) -> bool:
        """Whether its rounds begin with a mask that keeps everything."""
        return self.changes and not self.cuts

    @property
    def abilities(self) -> frozenset[Ability]:
        """What an engine must be able to do to train its rounds."""
        if self.trains_scores:
            return frozenset({Ability.TRAIN_SCORES})
        if not self.changes:
            return frozenset()
        return frozenset({Ability.REGROW if self.revives else Ability.CHANGE_MASK})

    @property
    def cuts(self) -> bool:
        """Whether a mask is cut from networks, trained or not, before its round trains."""
        return self.reads in ("previous", "dense", "theta0")

    @property
    def looks_at_trained(self) -> bool:
        """Whether a mask is cut from trained networks."""
        return self.reads in ("previous", "dense")

    @property
    def at_once(self) -> bool:
        """Whether every mask is cut from one that keeps everything."""
        return self.reads in ("dense", "theta0")

    def source_round(self, round: int) -> int:
        """The round whose networks are cut to make this round's mask; 0 = dense, or θ₀.

        >>> POLICIES["iterative"].source_round(3), POLICIES["one-shot"].source_round(3)
        (2, 0)
        """
        return 0 if self.at_once else round - 1


def _of_scores(module: str, needs: tuple[str, ...], **options: bool) -> Policy:
    """A policy that trains scores, from nothing before its round."""
    return Policy(
        module=module,
        options=options,
        trains_scores=True,
        reads=None,
        nested=False,
        needs=needs,
    )


POLICIES: Registry[Policy] = Registry(
    "schedule",
    __name__,
    {
        "iterative": Policy(reads="previous", nested=True),
        "one-shot": Policy(reads="dense", nested=True),
        "at-init": Policy(reads="theta0", nested=False),
        "gradual": Policy(
            module="gradual", reads=None, nested=False, criteria=("magnitude",)
        ),
        "rigl": Policy(module="regrowing.rigl", reads="theta0", nested=False, revives=True),
        "set": Policy(module="regrowing.set", reads="theta0", nested=False, revives=True),
        "early-bird": Policy(
            module="early_bird",
            reads=None,
            nested=False,
            needs=WITHOUT_CRITERION,
            scopes=("global",),
            exact=False,
            needs_layers=True,
        ),
        "edge-popup": _of_scores("edge_popup", WITHOUT_CRITERION),
        "edge-popup-scaled": _of_scores("edge_popup", WITHOUT_CRITERION, scaled=True),
        "biprop": _of_scores("biprop", WITHOUT_CRITERION),
        "biprop-affine": _of_scores("biprop", WITHOUT_CRITERION, affine=True),
        "gem-miner": _of_scores("gem_miner", WITHOUT_CRITERION),
        "supermask": _of_scores("supermask", ALONE),
        "supermask-rescaled": _of_scores("supermask", ALONE, rescaled=True),
        "signed-supermask": _of_scores("signed_supermask", ALONE),
        TAKEN: Policy(reads="mask", nested=True, needs=()),
        READ: Policy(reads="file", nested=False, needs=()),
    },
    offers="rule",
    own=Policy,
)
SCHEDULES = tuple(name for name, policy in POLICIES.items() if policy.needs)
"""the policies that a recipe with masks of its own can name as its ``schedule``"""


def of_recipe(schedule: str | None) -> Policy:
    """The policy of a recipe: that of its schedule, or ``taken`` where it has none.

    Raises:
        UnknownNameError: if there is no such policy.
    """
    return POLICIES[TAKEN if schedule is None else schedule]


def rule(name: str, asked: Asked, network: Network) -> "MaskRule":
    """The rule by which a round's mask changes while the round trains.

    Args:
        name: a policy whose masks change.
        asked: how much the round is to keep in the end.
        network: that is trained.
    """
    policy = POLICIES[name]
    assert policy.changes, f"{name} changes no mask"
    assert not policy.trains_scores, f"{name} trains scores"
    tensors = parameters(network)
    sizes = {tensor: prod(tensors[tensor].shape) for tensor in asked.fractions}
    options = dict(policy.options)
    if policy.needs_layers:
        options["layers"] = layers_of(network)
    found: MaskRule = POLICIES.load(name)(asked, sizes, **options)
    return found


def score_rule(name: str, asked: Asked | None, network: Network) -> "ScoreRule":
    """The rule by which scores make the network of a round.

    Args:
        name: a policy that trains scores.
        asked: how much the round is to keep; None if the policy does not ask.
        network: whose weights have scores: those that count, else all kernels.
    """
    policy = POLICIES[name]
    assert policy.trains_scores, f"{name} trains no scores"
    assert (asked is not None) == policy.asks_for_counts
    tensors = kernels(network)
    if asked is not None:
        tensors = {tensor: tensors[tensor] for tensor in asked.fractions}
    found: ScoreRule = POLICIES.load(name)(asked, tensors, **policy.options)
    return found
