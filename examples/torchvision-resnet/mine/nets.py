"""Networks of torchvision, for other images than ImageNet's."""

from torch import nn

from pipeline.core.description import Description
from pipeline.data.torchvision_import import load


def resnet18(data: Description) -> nn.Module:
    """ResNet-18 with a first layer for small images: 3 × 3, stride 1, no pool behind it."""
    network: nn.Module = load("torchvision.models").resnet18(num_classes=data.num_classes)
    network.conv1 = nn.Conv2d(data.images.shape[0], 64, 3, padding=1, bias=False)
    network.maxpool = nn.Identity()
    return network
