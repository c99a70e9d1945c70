"""Sign-In: gradient descent on two factors of each weight, so that its sign can change.

A weight θ is the product of two numbers m and w, which train in its place. Gradient flow
keeps m² − w² = β and moves θ as fast as m² + w² = √(β² + 4θ²): by at least β, also at
θ = 0. So a weight can cross 0; at β = 0 it cannot.
Noise and weight decay shrink β; every RESET_EVERY steps m and w are made anew for β = 1.

Source: Gadhikar, Jacobs, Zhou & Burkholz 2025, arXiv:2504.12801. Of the paper we know what
others write of it: how often it resets is not among that, and RESET_EVERY is ours, about an
epoch of CIFAR-10 in batches of 128. Nor is whether weight decay acts on the factors, as
here, so that θ decays twice as fast as by plain SGD, and whether a reset keeps their
momentum, as here. Biases and norm parameters train as by plain SGD.
"""

from collections.abc import Iterable

import torch
from torch import Tensor

from pipeline.core.optimizers import Rates

BALANCE = 1.0
"""β after a reset"""
RESET_EVERY = 400
"""steps from one reset to the next"""


def sign_in(weights: Iterable[Tensor], settings: Rates) -> torch.optim.Optimizer:
    """The optimizer of a training, with the momentum and weight decay of its settings."""
    return SignIn(weights, settings.lr, settings.momentum, settings.weight_decay)


def factors(weight: Tensor) -> tuple[Tensor, Tensor]:
    """The numbers m > 0 and w with m · w = θ and m² − w² = BALANCE, weight by weight."""
    larger = ((BALANCE + (BALANCE**2 + 4 * weight * weight).sqrt()) / 2).sqrt()
    return larger, weight / larger


class SignIn(torch.optim.Optimizer):
    """SGD with momentum on the factors of kernels, and on all other tensors themselves."""

    def __init__(
        self, weights: Iterable[Tensor], lr: float, momentum: float, weight_decay: float
    ) -> None:
        super().__init__(
            weights, {"lr": lr, "momentum": momentum, "weight_decay": weight_decay}
        )

    def step(self, closure: object = None) -> None:  # type: ignore[override]
        """Update every weight that has a gradient.

        A pruned weight is 0 and has gradient 0, so that it stays 0.
        """
        assert closure is None, "engines compute gradients themselves"
        for group in self.param_groups:
            for weight in group["params"]:
                if weight.grad is not None:
                    self._update(weight, weight.grad, group)

    def _update(self, weight: Tensor, gradient: Tensor, group: dict[str, float]) -> None:
        state = self.state[weight]
        number = int(state.get("number", 0))
        state["number"] = torch.tensor(float(number + 1))
        if weight.dim() < 2:
            self._descend(weight, gradient, state, "slope", group)
            return
        if number % RESET_EVERY == 0:
            state["m"], state["w"] = factors(weight)
        m, w = state["m"], state["w"]
        # A mask sets the memory of pruned weights to 0; one that comes back begins anew.
        m.masked_fill_((m == 0) & (w == 0), BALANCE**0.5)
        slopes = gradient * w, gradient * m
        self._descend(m, slopes[0], state, "slope_m", group)
        self._descend(w, slopes[1], state, "slope_w", group)
        weight.copy_(m * w)

    def _descend(
        self,
        values: Tensor,
        slope: Tensor,
        state: dict[str, Tensor],
        remembered: str,
        group: dict[str, float],
    ) -> None:
        """One step of SGD with momentum and weight decay, as torch's own does it."""
        slope = slope + group["weight_decay"] * values
        if group["momentum"]:
            before = state.get(remembered)
            slope = slope if before is None else group["momentum"] * before + slope
            state[remembered] = slope
        values.sub_(group["lr"] * slope)
