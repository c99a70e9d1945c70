"""The small decoder of the grokking paper, which learns tables of operations.

Source: Power et al. 2022 (arXiv:2201.02177) and the authors' code (openai/grok). No
projection has a bias; a layer norm follows each addition; positions are sinusoidal; there
is no dropout.
"""

import math
from functools import partial

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from pipeline.core.description import Classes, Description, Tokens
from pipeline.core.models.layers import Kind, Module
from pipeline.core.models.modules import described

HEAD = 32
"""width of one attention head: 4 heads at width 128, as in the source"""
WIDER = 4
"""hidden units of a feed-forward part, in multiples of the width"""


def build(name: str, widths: tuple[int, ...] | None, data: Description) -> Module:
    """One decoder block per width, after an embedding and before an output layer.

    Tensors of block n: ``blocks.n.query.weight`` and likewise ``key``, ``value`` and
    ``mixed`` (kind ``attention``), ``blocks.n.wide.weight`` and ``blocks.n.narrow.weight``
    (kind ``fc``); beside them ``embedding.weight`` and ``output.weight``, which are not
    tied.

    Args:
        name: ``transformer``.
        widths: of each block; all equal, multiples of HEAD. The source has (128, 128).
        data: tokens.

    Raises:
        ValueError: if widths are missing, differ, or are no multiples; or if examples are
            no tokens.
    """
    if not widths or len(set(widths)) > 1 or widths[0] < HEAD or widths[0] % HEAD:
        raise ValueError(
            f"{name} needs the width of each block, all equal and multiples of {HEAD}, and "
            f"got {widths}; give for example widths: [128, 128]"
        )
    if not isinstance(data.inputs, Tokens):
        raise ValueError(f"{name} takes tokens, and the data are {data.inputs}")
    make = partial(_made, width=widths[0], blocks=len(widths), data=data)
    return described(make, origin=f"{name} {widths} {data}", data=data)


def _made(
    *, width: int, blocks: int, data: Description
) -> tuple[nn.Module, dict[str, Kind]]:
    module = Transformer(width=width, blocks=blocks, data=data)
    kinds: dict[str, Kind] = {"embedding.weight": "embedding", "output.weight": "output"}
    for name, _ in module.named_parameters():
        part = name.split(".")[-2]
        if part in ("query", "key", "value", "mixed"):
            kinds[name] = "attention"
        elif part in ("wide", "narrow"):
            kinds[name] = "fc"
    return module, kinds


class Transformer(nn.Module):
    """Embedding, decoder blocks, output."""

    def __init__(self, *, width: int, blocks: int, data: Description) -> None:
        """Draw weights as torch does: projections uniform in ±1/√inputs, embeddings normal.

        Args:
            width: of every block.
            blocks: their number.
            data: tokens, with classes or tokens as labels.
        """
        super().__init__()
        assert isinstance(data.inputs, Tokens), "build has checked it"
        self.embedding = nn.Embedding(data.inputs.vocabulary, width)
        self.blocks = nn.ModuleList(Block(width) for _ in range(blocks))
        self.output = nn.Linear(width, data.output_shape[-1], bias=False)
        self._last_only = isinstance(data.labels, Classes)
        # No buffer: it would count as a statistic that training changes.
        self._positions = sinusoids(data.inputs.length, width)

    def forward(self, inputs: Tensor) -> Tensor:
        """Logits: (B, classes) at the last position, or (B, L, vocabulary).

        Args:
            inputs: tokens (B, L).
        """
        state = self.embedding(inputs) + self._positions.to(inputs.device)
        for block in self.blocks:
            state = block(state)
        logits: Tensor = self.output(state[:, -1] if self._last_only else state)
        return logits


class Block(nn.Module):
    """Causal self-attention and a feed-forward part, each added and then normed."""

    def __init__(self, width: int) -> None:
        """Make the projections, without biases.

        Args:
            width: of the state; a multiple of HEAD.
        """
        super().__init__()
        self.query = nn.Linear(width, width, bias=False)
        self.key = nn.Linear(width, width, bias=False)
        self.value = nn.Linear(width, width, bias=False)
        self.mixed = nn.Linear(width, width, bias=False)
        self.wide = nn.Linear(width, WIDER * width, bias=False)
        self.narrow = nn.Linear(WIDER * width, width, bias=False)
        self.after_attention = nn.LayerNorm(width)
        self.after_feed_forward = nn.LayerNorm(width)

    def forward(self, state: Tensor) -> Tensor:
        """The next state.

        Args:
            state: (B, L, width).
        """
        state = self.after_attention(state + self._attention(state))
        hidden = F.relu(self.wide(state))
        added: Tensor = self.after_feed_forward(state + self.narrow(hidden))
        return added

    def _attention(self, state: Tensor) -> Tensor:
        batch, length, width = state.shape
        query, key, value = (
            projection(state).view(batch, length, width // HEAD, HEAD).transpose(1, 2)
            for projection in (self.query, self.key, self.value)
        )
        scores = query @ key.transpose(-2, -1) / math.sqrt(HEAD)
        future = torch.ones(length, length, dtype=torch.bool, device=state.device).triu(1)
        weights = scores.masked_fill(future, -math.inf).softmax(-1)
        heads = (weights @ value).transpose(1, 2).reshape(batch, length, width)
        mixed: Tensor = self.mixed(heads)
        return mixed


def sinusoids(length: int, width: int) -> Tensor:
    """Sine and cosine of each position, in turns, (length, width).

    Vaswani et al. 2017 (arXiv:1706.03762), section 3.5.
    """
    rates = torch.exp(torch.arange(0, width, 2) * (-math.log(10_000) / width))
    angles = torch.arange(length)[:, None] * rates
    return torch.stack([angles.sin(), angles.cos()], dim=2).flatten(1)
