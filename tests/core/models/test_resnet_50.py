"""ResNet-50: the tensors of torchvision's, and their kinds."""

from math import prod

import pytest
import torch

from pipeline.core.description import of_images
from pipeline.core.models import build
from pipeline.core.models.layers import parameters
from pipeline.data.torchvision_import import load

SMALL = of_images((3, 32, 32), classes=1000)


def test_tensors_are_those_of_torchvision() -> None:
    with torch.device("meta"):
        wanted = load("torchvision.models").resnet50().state_dict()
    found = parameters(build("resnet-50", widths=None, data=SMALL))
    assert {n: t.shape for n, t in found.items()} == {
        name: tuple(value.shape) for name, value in wanted.items()
    }
    kinds = [t.kind for t in found.values() if t.kind]
    assert {kind: kinds.count(kind) for kind in kinds} == {
        "conv": 49,
        "shortcut": 4,
        "output": 1,
    }
    assert sum(prod(t.shape) for t in found.values() if t.trainable) == 25_557_032


def test_images_that_five_halvings_leave_nothing_of_are_refused() -> None:
    tiny = of_images((3, 28, 28), classes=10)
    with pytest.raises(ValueError, match=r"28×28 pixels are too few; take images of"):
        build("resnet-50", widths=None, data=tiny)
