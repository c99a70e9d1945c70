"""A network with two branches that look up their tokens in one embedding."""

import torch
from torch import Tensor, nn

from pipeline.core.description import Description, Tokens


class TwoBranches(nn.Module):
    """Each token has a branch of its own; the embedding and the output are shared."""

    def __init__(self, vocabulary: int, width: int, num_classes: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(vocabulary, width)
        self.left = nn.Linear(width, width)
        self.right = nn.Linear(width, width)
        self.output = nn.Linear(width, num_classes)

    def forward(self, tokens: Tensor) -> Tensor:
        """Logits (B, classes) of pairs of tokens (B, 2)."""
        left, right = self.embedding(tokens).unbind(dim=1)
        return self.output(torch.relu(self.left(left) + self.right(right)))


def build(data: Description, width: int) -> nn.Module:
    """The network for pairs of tokens."""
    assert isinstance(data.inputs, Tokens)
    return TwoBranches(data.inputs.vocabulary, width, data.num_classes)
