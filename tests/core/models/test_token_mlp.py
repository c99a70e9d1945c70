import numpy as np
import torch

from pipeline.core.description import Classes, Description, Tokens
from pipeline.core.models import build
from pipeline.core.models.modules import compute, initial

SUMS = Description(inputs=Tokens(vocabulary=5, length=2), labels=Classes(number=5))


def test_a_large_batch_has_the_logits_and_gradients_of_small_ones_to_rounding():
    network = build("token-mlp", widths=(12, 4), data=SUMS)
    drawn = initial(network, np.random.default_rng(0))
    weights = {n: torch.tensor(w, requires_grad=True) for n, w in drawn.items()}
    pairs = torch.cartesian_prod(torch.arange(5), torch.arange(5))
    whole = compute(network, weights, pairs, training=True)
    parts = [compute(network, weights, part, training=True) for part in pairs.split(5)]
    torch.testing.assert_close(whole, torch.cat(parts))
    found, wanted = (
        torch.autograd.grad(logits.square().sum(), list(weights.values()))
        for logits in (whole, torch.cat(parts))
    )
    for one, other in zip(found, wanted, strict=True):
        torch.testing.assert_close(one, other)
