"""Sign-In: laws of gradient descent on the two factors of a weight."""

import inspect
from dataclasses import dataclass

import numpy as np
import pytest
import torch

from pipeline.core.optimizers import sign_in


@dataclass(frozen=True)
class Rates:
    lr: float = 1e-3
    momentum: float = 0.0
    weight_decay: float = 0.0


def descended(values, gradient, steps=1, **rates):
    """Weights after steps with the gradient that a function of them gives."""
    weight = torch.nn.Parameter(torch.tensor(values))
    optimizer = sign_in.sign_in([weight], Rates(**rates))
    for _ in range(steps):
        weight.grad = gradient(weight.detach())
        with torch.no_grad():
            optimizer.step()
    return weight.detach(), optimizer.state[weight]


# As the engine does it: else torch imports its compiler, for seconds.
ADD = inspect.unwrap(torch.optim.Optimizer.add_param_group)
ADD.__dynamo_disable = ADD

WEIGHTS = [[-2.0, -0.3, 0.0, 1e-6, 0.1, 3.0]]


def test_factors_give_the_weight_and_have_the_balance():
    weight = torch.tensor(WEIGHTS, dtype=torch.float64)
    m, w = sign_in.factors(weight)
    np.testing.assert_allclose(m * w, weight, atol=1e-15)
    np.testing.assert_allclose(m**2 - w**2, torch.ones_like(weight), atol=1e-12)
    assert (m > 0).all()


def test_a_weight_moves_as_fast_as_its_balance_and_size_say():
    gradient = torch.tensor([[1.0, -2.0, 0.5, 1.0, -1.0, 0.1]])
    found, _ = descended(WEIGHTS, lambda _: gradient, lr=1e-3)
    before = torch.tensor(WEIGHTS)
    speed = (1 + 4 * before**2).sqrt()
    np.testing.assert_allclose(found - before, -1e-3 * gradient * speed, atol=1e-5)


def test_the_balance_is_kept_between_resets():
    _, state = descended(WEIGHTS, lambda weight: weight - 1, steps=200, lr=1e-3)
    balance = state["m"] ** 2 - state["w"] ** 2
    np.testing.assert_allclose(balance, np.ones((1, 6)), atol=2e-3)


def test_a_reset_moves_no_weight(monkeypatch):
    def still(_):
        return torch.zeros((1, 6))

    decayed, state = descended(WEIGHTS, still, steps=50, lr=0.1, weight_decay=0.1)
    shrunken = state["m"] ** 2 - state["w"] ** 2
    assert (shrunken < 0.7).all()  # as weight decay does
    monkeypatch.setattr(sign_in, "RESET_EVERY", 50)
    again, state = descended(WEIGHTS, still, steps=51, lr=0.1, weight_decay=0.1)
    balance = state["m"] ** 2 - state["w"] ** 2
    assert (balance > 0.97).all()
    np.testing.assert_allclose(again, decayed * (1 - 0.1 * 0.1) ** 2, rtol=1e-5)


def test_signs_change_where_the_gradient_asks_for_it():
    found, _ = descended(
        [[0.05, -0.05]], lambda w: w - torch.tensor([[-1.0, 1.0]]), 500, lr=1e-2
    )
    assert (found.sign() == torch.tensor([[-1.0, 1.0]])).all()


def test_pruned_weights_stay_zero_and_vectors_train_as_by_sgd():
    found, _ = descended([[0.0, 1.0]], lambda w: w * 0.5, steps=9, weight_decay=0.1)
    assert found[0, 0] == 0
    rates = {"lr": 0.1, "momentum": 0.9, "weight_decay": 0.01}
    found, _ = descended([1.0, -2.0], lambda w: w - 3, steps=7, **rates)
    weight, moved = np.array([1.0, -2.0]), np.zeros(2)
    for _ in range(7):
        moved = 0.9 * moved + (weight - 3) + 0.01 * weight
        weight = weight - 0.1 * moved
    np.testing.assert_allclose(found, weight, rtol=1e-5)


@pytest.mark.parametrize("momentum", [0.0, 0.9])
def test_a_network_of_one_weight_is_fitted(momentum):
    found, _ = descended([[2.0]], lambda w: w + 0.5, 700, lr=0.02, momentum=momentum)
    np.testing.assert_allclose(found, [[-0.5]], atol=1e-3)


def test_a_pruned_weight_that_comes_back_moves_at_once():
    """A mask sets the memory of pruned weights to 0, their factors with it."""
    weight = torch.nn.Parameter(torch.tensor([[0.5, 0.0]]))
    optimizer = sign_in.sign_in([weight], Rates(momentum=0.9))

    def step(gradient):
        weight.grad = torch.tensor([gradient])
        with torch.no_grad():
            optimizer.step()

    step([0.0, 0.0])
    for value in optimizer.state[weight].values():
        if value.shape == weight.shape:
            value[0, 1] = 0.0
    step([0.0, 0.0])
    assert weight[0, 1] == 0.0
    step([0.0, 1.0])
    assert weight[0, 1] < 0.0
    assert weight[0, 0] == 0.5
