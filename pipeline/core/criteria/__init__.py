"""Criteria score weights: the higher the score, the more a weight deserves to stay.

Each family of criteria is one file, imported on use. A criterion is a function in the
module that its record names. The function has the criterion's name, with underscores for
hyphens, takes an ``Evidence`` and returns the scores, as ``score`` does.
"""

from dataclasses import dataclass

from pipeline.core.arrays import Scores
from pipeline.core.criteria.evidence import Evidence
from pipeline.core.description import Classes, Description, Tokens
from pipeline.core.functions import not_arrays
from pipeline.core.models.layers import Module, Network, has_signs
from pipeline.core.registry import Entry, Registry


@dataclass(frozen=True, kw_only=True, slots=True)
class Criterion(Entry):
    """Where a criterion is defined, and what it needs beside network, mask and weights."""

    needs_trained: bool = True
    """whether it looks at trained weights"""
    needs_batches: bool = False
    """whether it looks at training examples"""
    draws: bool = False
    """whether its scores take from the random stream"""
    tied: bool = False
    """whether it can give many weights the same score, so that chance must decide which of
    them stay: their position is no reason"""
    passes: int = 1
    """number of cuts, each with the scores of what the last one left, in which a round is
    pruned; the number kept falls exponentially"""
    needs_classes: bool = False
    """whether the labels must be classes"""
    needs_layers: bool = False
    """whether it walks through layer records, which a torch module has not"""
    reads_tokens: bool = True
    """whether it can look at networks that read tokens"""
    passes_signs: bool = True
    """whether it can look at networks with sign units, whose slope is 0 far from 0"""
    inverts: str = ""
    """the criterion whose scores it turns upside down, a check of Frankle et al. 2021,
    arXiv:2009.08576, whether the order of scores matters; empty = it has its own"""
    cut: str = ""
    """of CUTS: the one that makes masks from its answer; empty = it answers with scores,
    from which the cut of the task's program makes them"""


def _of_gradients(
    module: str, *, passes: int = 1, draws: bool = False, inverts: str = ""
) -> Criterion:
    """A criterion that looks at gradients of training examples at initialization."""
    return Criterion(
        module=module,
        passes=passes,
        draws=draws,
        inverts=inverts,
        tied=True,
        needs_trained=False,
        needs_batches=True,
        needs_classes=True,
    )


def _of_paths(*, inverts: str = "") -> Criterion:
    """A criterion that follows the strengths of paths, pass after pass."""
    return Criterion(
        module="gradients.synflow",
        passes=100,
        inverts=inverts,
        tied=True,
        needs_trained=False,
        reads_tokens=False,
        passes_signs=False,
    )


CRITERIA = Registry(
    "criterion",
    __name__,
    {
        "grasp": _of_gradients("gradients.grasp"),
        "grasp-inverted": _of_gradients("gradients.grasp", inverts="grasp"),
        "large-final-diff-sign": Criterion(module="signs", tied=True),
        "large-final-same-sign": Criterion(module="signs", tied=True),
        "large-init": Criterion(module="sizes", needs_trained=False),
        "large-init-large-final": Criterion(module="sizes"),
        "magnitude": Criterion(module="magnitude"),
        "magnitude-increase": Criterion(module="change", tied=True),
        "magnitude-increase-diff-sign": Criterion(module="signs", tied=True),
        "magnitude-increase-same-sign": Criterion(module="signs", tied=True),
        "movement": Criterion(module="change", tied=True),
        "phew": Criterion(
            module="phew", needs_trained=False, draws=True, needs_layers=True, cut="paths"
        ),
        "random": Criterion(module="chance", needs_trained=False, draws=True),
        "small-final": Criterion(module="sizes"),
        "small-init": Criterion(module="sizes", needs_trained=False),
        "small-init-small-final": Criterion(module="sizes"),
        "snip": _of_gradients("gradients.snip"),
        "snip-inverted": _of_gradients("gradients.snip", inverts="snip"),
        "snip-iterative": _of_gradients("gradients.snip", passes=100),
        "snip-iterative-inverted": _of_gradients(
            "gradients.snip", passes=100, inverts="snip-iterative"
        ),
        "snip-official": _of_gradients("gradients.snip", draws=True),
        "snip-official-inverted": _of_gradients(
            "gradients.snip", draws=True, inverts="snip-official"
        ),
        "synflow": _of_paths(),
        "synflow-inverted": _of_paths(inverts="synflow"),
    },
    own=Criterion,
)
"""The criteria by name. Zhou et al. 2019 break all ties at random. Here this is so for
criteria that can have many: of signs, of gradients (exactly 0 behind an input that is
always 0), and of changes. For the others a tie is a coincidence of two numbers, and the
weight at the earlier position stays (``pruning.prune_to``)."""


def score(name: str, evidence: Evidence) -> Scores:
    """The scores of all weights under a mask.

    Args:
        name: one of CRITERIA.
        evidence: left unchanged; what the criterion does not need is ignored.

    Returns:
        One number per weight, larger = keep, in the tensors and shapes of the mask;
        pruned weights score 0. A diverged training leaves NaN among the trained weights;
        the score is then NaN as well, which ranks lowest.

    Raises:
        ValueError: if there is no such criterion, if it does not answer with scores, or
            if what it needs is not given.
    """
    criterion = CRITERIA[name]
    if criterion.cut:
        raise ValueError(f"the criterion {name!r} gives no scores")
    missing = [
        thing
        for thing, is_missing in (
            ("trained weights", criterion.needs_trained and not evidence.trained),
            ("training batches", criterion.needs_batches and evidence.batches is None),
            ("a random stream", criterion.draws and evidence.rng is None),
        )
        if is_missing
    ]
    if missing:
        raise ValueError(f"the criterion {name!r} needs {' and '.join(missing)}; give them")
    scores: Scores = CRITERIA.load(criterion.inverts or name)(evidence)
    if problem := not_arrays(scores) or _problem(scores, evidence):
        raise ValueError(f"the criterion {name!r} gives no scores of the mask: {problem}")
    return {n: -values for n, values in scores.items()} if criterion.inverts else scores


def refusal(name: str, network: Network, data: Description) -> str:
    """Why a criterion cannot score such a network for such data; empty = it can.

    Args:
        name: one of CRITERIA.
        network: that is pruned.
        data: what the examples are.
    """
    needs = CRITERIA[name]
    if needs.needs_layers and isinstance(network, Module):
        return "walks through layer records, which a torch module has not"
    if needs.needs_classes and not isinstance(data.labels, Classes):
        return "looks at examples of every class, and the data have no classes"
    if not needs.reads_tokens and isinstance(data.inputs, Tokens):
        return "looks at images or vectors, and the inputs are tokens"
    if not needs.passes_signs and has_signs(network):
        return "follows slopes, and those of sign units are 0 nearly everywhere"
    return ""


def _problem(scores: Scores, evidence: Evidence) -> str:
    """Why an answer is no scores; empty = it is some."""
    if set(scores) != set(evidence.mask):
        return f"of {', '.join(scores)}, and the mask has {', '.join(evidence.mask)}"
    for name, kept in evidence.mask.items():
        values = scores[name]
        if values.shape != kept.shape or values.dtype.kind != "f":
            found = f"{values.dtype} {list(values.shape)}"
            return f"{name} is {found}, floats {list(kept.shape)} are needed"
    return ""


def cut_of(name: str, program: str) -> str:
    """The cut that makes masks from a criterion's answer.

    Args:
        name: one of CRITERIA.
        program: the cut of the task's program, for scores.
    """
    return CRITERIA[name].cut or program
