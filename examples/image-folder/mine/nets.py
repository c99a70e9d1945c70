"""A small convolutional network, as any torch program writes it."""

from torch import nn

from pipeline.core.description import Description


def build(data: Description, width: int) -> nn.Module:
    """Two convolutions with batch norm, and a linear output.

    Args:
        data: what the examples are: ``data.images.shape`` and ``data.num_classes``.
        width: channels, from ``options`` in params.yaml.
    """
    channels, _, _ = data.images.shape
    return nn.Sequential(
        nn.Conv2d(channels, width, 3, padding=1, bias=False),
        nn.BatchNorm2d(width),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(width, 2 * width, 3, padding=1),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(2 * width, data.num_classes),
    )
