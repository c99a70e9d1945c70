"""The MLP for pairs of tokens of Grokking Tickets.

Source: Minegishi et al. 2023 (arXiv:2310.19470). Logits = U · W₂ · ReLU(W₁ · Σ E[token]),
all without biases. That the embeddings of both tokens are added is a reading of the paper,
whose pairs (a, b) are unordered.
"""

from functools import partial

import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from pipeline.core.description import Description, Tokens
from pipeline.core.models.layers import Kind, Module
from pipeline.core.models.modules import described

KINDS_BY_NAME: dict[str, Kind] = {
    "embedding.weight": "embedding",
    "into.weight": "fc",
    "out_of.weight": "fc",
    "output.weight": "output",
}


def build(name: str, widths: tuple[int, ...] | None, data: Description) -> Module:
    """Embedding, one hidden layer with ReLU, and an output.

    Args:
        name: ``token-mlp``.
        widths: of the embedding and of the hidden layer. The source has (500, 48).
        data: tokens in classes.

    Raises:
        ValueError: if there are not two widths, or if examples are no tokens in classes.
    """
    if widths is None or len(widths) != 2 or min(widths) < 1:
        raise ValueError(
            f"{name} needs the widths of embedding and hidden layer, each at least 1, and "
            f"got {widths}; give for example widths: [500, 48]"
        )
    if not isinstance(data.inputs, Tokens):
        raise ValueError(f"{name} takes tokens, and the data are {data.inputs}")
    make = partial(_made, *widths, data.inputs.vocabulary, data.num_classes)
    return described(make, origin=f"{name} {widths} {data}", data=data)


def _made(
    width: int, hidden: int, vocabulary: int, classes: int
) -> tuple[nn.Module, dict[str, Kind]]:
    return TokenMLP(width, hidden, vocabulary, classes), KINDS_BY_NAME


class TokenMLP(nn.Module):
    """Added embeddings, one hidden layer, an output; no biases."""

    def __init__(self, width: int, hidden: int, vocabulary: int, classes: int) -> None:
        """Draw every weight from a normal distribution with standard deviation 1/√inputs.

        Args:
            width: of the embedding, which counts as a layer with ``vocabulary`` inputs.
            hidden: units of the hidden layer.
            vocabulary: number of tokens.
            classes: number of classes.
        """
        super().__init__()
        self.embedding = nn.Embedding(vocabulary, width)
        self.into = nn.Linear(width, hidden, bias=False)
        self.out_of = nn.Linear(hidden, width, bias=False)
        self.output = nn.Linear(width, classes, bias=False)
        nn.init.normal_(self.embedding.weight, std=vocabulary**-0.5)
        for layer in (self.into, self.out_of, self.output):
            nn.init.normal_(layer.weight, std=layer.in_features**-0.5)

    def forward(self, inputs: Tensor) -> Tensor:
        """Logits (B, classes) of tokens (B, L), in any order of them.

        Embedding and first layer are one linear map, and so are the last two. For more
        examples than tokens it is cheaper to multiply their weights first, and gives the
        same to rounding.
        """
        if len(inputs) <= len(self.embedding.weight):
            summed = self.embedding(inputs).sum(1)
            logits: Tensor = self.output(self.out_of(self.into(summed).relu()))
            return logits
        features = F.linear(self.embedding.weight, self.into.weight)
        hidden = F.embedding(inputs, features).sum(1).relu()
        return F.linear(hidden, self.output.weight @ self.out_of.weight)
