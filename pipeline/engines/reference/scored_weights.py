"""The scores of a network in training, for an engine that differentiates its weights.

The weights that act are leaves of the engine's. Before each forward pass they are made
from the scores; after the backward pass their gradients become those of the scores.
"""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pipeline.core.models.layers import parameters
from pipeline.core.training.engine import Job, State
from pipeline.core.training.score_rules import Learned, held_names
from pipeline.engines.reference.compiled_passes import COMPILED

SCORE, KEPT = "score", "kept"
"""beginnings of the names of scores, and of sums of weights that acted, in a state"""


class ScoredWeights:
    """Scores, and the weights that they make; rules work on the processor."""

    def __init__(self, job: Job, weights: dict[str, Tensor]) -> None:
        """Begin with the rule's first scores.

        Args:
            job: has a score rule.
            weights: of the engine, by name. Those that have scores are overwritten at
                every ``act``; those that no step trains lose their gradients.
        """
        assert job.score_rule is not None, "this job has no scores"
        tensors = parameters(job.network)
        self._job = job
        self._rule = job.score_rule
        self._weights = weights
        self._held = held_names(tensors, self._rule)
        self._leaves = {name: weights[name] for name in self._rule.counted}
        device = next(iter(self._leaves.values())).device
        self._frozen = {name: job.start[name].copy() for name in self._leaves}
        self._scores = {
            name: torch.tensor(scores, device=device)
            for name, scores in job.first_scores().items()
        }
        others = {n: w for n, w in weights.items() if n not in self._leaves}
        for name, weight in others.items():
            weight.requires_grad_(tensors[name].role in self._rule.also_trains)
        also = {name: weight for name, weight in others.items() if weight.requires_grad}
        self.trained = self._scores | also
        """what the optimizer updates, by name"""
        self._scoring = self._rule.begin(self._frozen, COMPILED)
        self._out = {name: _array(leaf) for name, leaf in self._leaves.items()}
        self._seen: dict[str, NDArray[np.float32]] = {}
        self._kept = dict.fromkeys(self._leaves, 0)

    def act(self, step: int) -> None:
        """Make the weights of this step from its scores."""
        self._seen = {name: _array(scores) for name, scores in self._scores.items()}
        with np.errstate(all="ignore"):  # the loop notices a network that diverges
            self._scoring.act(self._seen, self._job.moment(step), self._out)
        for name, leaf in self._leaves.items():
            if leaf.device.type != "cpu":  # there the arrays are the tensors' own memory
                leaf.detach().copy_(torch.from_numpy(self._out[name]))
                self._scores[name].copy_(torch.from_numpy(self._seen[name]))

    def pull(self, *, decay: float) -> None:
        """Turn gradients of weights into those of scores; the weights have acted.

        Args:
            decay: share of itself that each score loses now.
        """
        with np.errstate(all="ignore"):  # the loop notices a network that diverges
            for name, leaf in self._leaves.items():
                assert leaf.grad is not None, f"{name} has no gradient"
                scores, gradient = self._scores[name], _array(leaf.grad.contiguous())
                self._scoring.pull(name, self._seen[name], gradient)
                scores.grad = torch.from_numpy(gradient).to(scores.device)
                leaf.grad = None  # no optimizer knows the leaf, which would add to it
                if decay:
                    scores.mul_(1 - decay)
                self._kept[name] += self._scoring.number(name)

    def learned(self) -> Learned:
        """Copies of the scores, of what is held, and of the sums so far."""
        held = {name: _array(self._weights[name]).copy() for name in self._held}
        return Learned(
            scores={name: _array(s).copy() for name, s in self._scores.items()},
            held=held | {name: array.copy() for name, array in self._frozen.items()},
            kept_steps=dict(self._kept),
        )

    def state(self) -> State:
        """What a continuation needs beside weights and the optimizer's own tensors."""
        state: State = {f"{SCORE}/{n}": _array(s).copy() for n, s in self._scores.items()}
        return state | {f"{KEPT}/{n}": np.array([k]) for n, k in self._kept.items()}

    def restored(self, key: str, name: str, array: NDArray[np.generic]) -> bool:
        """Take an entry of ``state``; False if it is none."""
        if key == SCORE:
            self._scores[name].copy_(torch.tensor(array))
            # What acts was overwritten, too.
            self._scoring = self._rule.begin(self._frozen, COMPILED)
        elif key == KEPT:
            self._kept[name] = int(array[0])
        return key in (SCORE, KEPT)


def _array(tensor: Tensor) -> NDArray[np.float32]:
    """A tensor as an array: the same memory, unless it lies on another device."""
    array: NDArray[np.float32] = tensor.detach().cpu().numpy()
    return array
