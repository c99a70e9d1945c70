"""A small network with a connection around its middle layer."""

import torch
from torch import Tensor, nn

from pipeline.core.description import Description, Vectors


class Around(nn.Module):
    """Three linear layers; what the first one gives also goes around the second."""

    def __init__(self, values: int, width: int, num_classes: int) -> None:
        super().__init__()
        self.first = nn.Linear(values, width)
        self.middle = nn.Linear(width, width)
        self.output = nn.Linear(width, num_classes)

    def forward(self, inputs: Tensor) -> Tensor:
        """Logits (B, classes) of inputs (B, values)."""
        hidden = torch.relu(self.first(inputs))
        return self.output(hidden + torch.relu(self.middle(hidden)))


def build(data: Description, width: int) -> nn.Module:
    """The network for examples that are a few numbers each."""
    assert isinstance(data.inputs, Vectors)
    return Around(data.inputs.num_values, width, data.num_classes)
