"""Recurrent networks: LSTM and GRU, which read the rows of an image or tokens one by one.

The last state (for classes) or every state (for tokens at positions) goes through a linear
output layer. Torch computes them, so they are modules to every engine. As in torch, the
gates of a cell are packed into one matrix: ``weight_ih`` (kind ``input``) for what the cell
reads and ``weight_hh`` (kind ``recurrent``) for its own state, and both have a bias, where
the sources count one (Zhang & Stadie, arXiv:1912.00120, count none).
"""

from functools import partial

from torch import Tensor, nn

from pipeline.core.description import Classes, Description, Images, Tokens
from pipeline.core.models.layers import Module
from pipeline.core.models.modules import described

CELLS = {"lstm": nn.LSTM, "gru": nn.GRU}


def build(name: str, widths: tuple[int, ...] | None, data: Description) -> Module:
    """One recurrent layer per width, and a linear output; tokens are embedded first.

    Tensors: ``embedding.weight`` for tokens; ``cell.weight_ih_l0`` (G·H, I),
    ``cell.weight_hh_l0`` (G·H, H) and their biases, with G = 4 gates for ``lstm`` and 3 for
    ``gru``; ``output.weight``. The states begin at 0. An embedding has the width of the
    layers, as in Yu et al. 2019 (arXiv:1906.02768).

    Args:
        name: a key of CELLS.
        widths: units of each layer; all equal, because torch's layers are.
        data: images, of which a row of all channels is one step, or tokens.

    Raises:
        ValueError: if widths are missing or differ, or if examples are no sequences.
    """
    if not widths or min(widths) < 1 or len(set(widths)) > 1:
        raise ValueError(
            f"{name} needs the width of each layer, all equal and at least 1, and got "
            f"{widths}; give for example widths: [128]"
        )
    if not isinstance(data.inputs, Images | Tokens):
        raise ValueError(
            f"{name} takes images, row by row, or tokens, and the data are {data.inputs}; "
            "take the model mlp"
        )
    make = partial(Recurrent, name, width=widths[0], layers=len(widths), data=data)
    return described(make, origin=f"{name} {widths} {data}", data=data)


class Recurrent(nn.Module):
    """Layers of one kind of cell, and a linear output."""

    def __init__(self, name: str, *, width: int, layers: int, data: Description) -> None:
        """Draw weights as torch does: uniform in ±1/√width, embeddings normal.

        Args:
            name: a key of CELLS.
            width: units of each layer.
            layers: their number.
            data: what the examples are.
        """
        super().__init__()
        self.embedding: nn.Embedding | None = None
        if isinstance(data.inputs, Tokens):
            self.embedding = nn.Embedding(data.inputs.vocabulary, width)
            values = width
        else:
            channels, _, columns = data.images.shape
            values = channels * columns
        self.cell = CELLS[name](values, width, num_layers=layers, batch_first=True)
        self.output = nn.Linear(width, data.output_shape[-1])
        self._last_only = isinstance(data.labels, Classes)

    def forward(self, inputs: Tensor) -> Tensor:
        """Logits: (B, classes), or (B, L, vocabulary).

        Args:
            inputs: images (B, C, H, W), normalized, or tokens (B, L).
        """
        if self.embedding is None:
            steps = inputs.transpose(1, 2).flatten(2)
        else:
            steps = self.embedding(inputs)
        states, _ = self.cell(steps)
        logits: Tensor = self.output(states[:, -1] if self._last_only else states)
        return logits
