"""Control tasks: a network plays episodes in environments of gymnasium.

An episode is known by the seed of its environment. Networks read observations and give
logits of actions.
"""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from pipeline.core.arrays import Floats, Integers
from pipeline.core.description import Actions

if TYPE_CHECKING:
    from torch import Tensor  # settings are read without torch

ENVIRONMENTS: Mapping[str, tuple[float, float]] = {
    "CartPole-v1": (0.0, 500.0),
    "Acrobot-v1": (-500.0, 0.0),
}
"""name -> the least and the greatest return of an episode"""
DISCOUNT = 0.99
"""the worth of a reward one step earlier"""

Decide = Callable[[Floats], Integers]
"""observations (b, F) -> actions (b,)"""


class Moment(NamedTuple):
    """One step of all episodes that are not over yet, of which there are b."""

    episodes: Integers
    """their positions, (b,)"""
    observations: Floats
    """(b, F)"""
    actions: Integers
    """(b,)"""
    rewards: Floats
    """(b,)"""


class Environment:
    """Copies of an environment, in which episodes are played side by side."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._copies: list[Any] = []

    @property
    def num_actions(self) -> int:
        """The number of actions."""
        return int(self._copy(0).action_space.n)

    def begin(self, seeds: Integers) -> Floats:
        """The first observations of episodes, (B, F)."""
        return np.stack(
            [
                np.asarray(self._copy(at).reset(seed=seed)[0], np.float32)
                for at, seed in enumerate(seeds.tolist())
            ]
        )

    def play(self, seeds: Integers, decide: Decide) -> list[Moment]:
        """Play episodes to their ends, as a network decides."""
        observations = self.begin(seeds)
        running = np.arange(len(seeds))
        moments = []
        while len(running):
            seen = observations[running]
            actions = decide(seen)
            rewards, goes_on = np.zeros(len(running), np.float32), []
            for at, (episode, action) in enumerate(zip(running, actions, strict=True)):
                step = self._copies[episode].step(int(action))
                observations[episode], rewards[at] = step[0], step[1]
                goes_on.append(not (step[2] or step[3]))
            moments.append(Moment(running, seen, actions, rewards))
            running = running[np.array(goes_on)]
        return moments

    def _copy(self, at: int) -> Any:  # noqa: ANN401 - gymnasium is optional
        while len(self._copies) <= at:
            self._copies.append(_made(self._name))
        return self._copies[at]


def share(moments: list[Moment], data: Actions) -> float:
    """The mean return, as a fraction between the least and the greatest one."""
    low, high = data.returns
    total = sum(float(moment.rewards.sum()) for moment in moments)
    return (total / len(moments[0].episodes) - low) / (high - low)


def advantages(moments: list[Moment]) -> list[Floats]:
    """By how much the return from each step on is above that of the other episodes.

    Returns are discounted. An episode that is over has 0 from there on, so that to go on
    is an advantage where rewards are positive.

    Returns:
        For each moment, (b,); over all moments they have standard deviation 1, or are 0.
    """
    num = len(moments[0].episodes)
    left = np.zeros(num, np.float64)
    found = []
    for moment in reversed(moments):
        left *= DISCOUNT
        left[moment.episodes] += moment.rewards
        found.append(left[moment.episodes] - left.mean())
    found.reverse()
    scale = np.concatenate(found).std() or 1.0
    return [np.asarray(one / scale, np.float32) for one in found]


def best(logits: "Tensor") -> Integers:
    """The actions with the largest logits, (b,)."""
    return np.asarray(logits.argmax(dim=-1).numpy(), np.int64)


def sampled(logits: "Tensor", rng: np.random.Generator) -> Integers:
    """Actions drawn by their probabilities, (b,)."""
    below = logits.double().softmax(dim=-1).cumsum(dim=-1)[:, :-1].numpy()
    return np.asarray((below < rng.random((len(below), 1))).sum(axis=1), np.int64)


def _made(name: str) -> Any:  # noqa: ANN401 - gymnasium is optional
    try:
        import gymnasium
    except ModuleNotFoundError:
        raise ValueError(
            "gymnasium is not installed; run `pip install '/path/to/lt-pipeline[control]'`"
        ) from None
    return gymnasium.make(name, disable_env_checker=True)
