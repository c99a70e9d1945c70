"""ResNet-50 for photographs, as a torch module.

Source: He et al. 2016 (arXiv:1512.03385), table 1, with the stride in the 3 × 3 convolution
of a block, as in torchvision and in most published results ("v1.5"). Tensors have the names
of torchvision's, so that its state dicts fit.
"""

from collections import OrderedDict
from functools import partial

from torch import Tensor, nn

from pipeline.core.description import Description
from pipeline.core.models.layers import Kind, Module
from pipeline.core.models.modules import described

BLOCKS = (3, 4, 6, 3)
"""blocks of each stage; all but the first stage halve height and width"""
CHANNELS = (64, 128, 256, 512)
"""channels of the 3 × 3 convolutions of each stage"""
WIDER = 4
"""channels behind a block, in multiples of those in it"""


def build(name: str, widths: tuple[int, ...] | None, data: Description) -> Module:
    """A 7 × 7 convolution, a pool, four stages of bottleneck blocks, and a linear output.

    Kinds: ``conv``; ``shortcut`` for the 1 × 1 convolutions beside a block; ``output``.

    Args:
        name: ``resnet-50``.
        widths: not used.
        data: images in classes, of any size from 32 × 32 on; 224 × 224 in the source.

    Raises:
        ValueError: if examples are no images, or smaller.
    """
    del widths
    channels, *size = data.images.shape
    if min(size) < 32:
        raise ValueError(
            f"{name} halves its images 5 times, and {size[0]}×{size[1]} pixels are too "
            "few; take images of at least 32×32, or resnet-20"
        )
    make = partial(_made, channels, data.num_classes)
    return described(make, origin=f"{name} {data}", data=data)


def _made(channels: int, classes: int) -> tuple[nn.Module, dict[str, Kind]]:
    module = _network(channels, classes)
    kinds: dict[str, Kind] = {"fc.weight": "output"}
    for name, layer in module.named_modules():
        if isinstance(layer, nn.Conv2d):
            kinds[f"{name}.weight"] = "shortcut" if "downsample" in name else "conv"
    return module, kinds


def _network(channels: int, classes: int) -> nn.Module:
    inputs = CHANNELS[0]
    parts: dict[str, nn.Module] = {
        "conv1": nn.Conv2d(channels, inputs, 7, stride=2, padding=3, bias=False),
        "bn1": nn.BatchNorm2d(inputs),
        "relu": nn.ReLU(),
        "maxpool": nn.MaxPool2d(3, stride=2, padding=1),
    }
    for number, (width, blocks) in enumerate(zip(CHANNELS, BLOCKS, strict=True)):
        stage: list[nn.Module] = []
        for block in range(blocks):
            stride = 2 if number and not block else 1
            stage.append(Bottleneck(inputs, width, stride))
            inputs = WIDER * width
        parts[f"layer{number + 1}"] = nn.Sequential(*stage)
    parts |= {
        "avgpool": nn.AdaptiveAvgPool2d(1),
        "flatten": nn.Flatten(),
        "fc": nn.Linear(inputs, classes),
    }
    network = nn.Sequential(OrderedDict(parts))
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d):
            nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")
    return network


class Bottleneck(nn.Module):
    """1 × 1, 3 × 3 and 1 × 1 convolutions, added to what comes in."""

    def __init__(self, inputs: int, width: int, stride: int) -> None:
        """Make the layers.

        Args:
            inputs: channels that come in.
            width: channels of the 3 × 3 convolution; WIDER times as many go out.
            stride: of that convolution.
        """
        super().__init__()
        outputs = WIDER * width
        self.conv1 = nn.Conv2d(inputs, width, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, stride=stride, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv3 = nn.Conv2d(width, outputs, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(outputs)
        self.relu = nn.ReLU()
        self.downsample: nn.Sequential | None = None
        if stride != 1 or inputs != outputs:
            shortcut = nn.Conv2d(inputs, outputs, 1, stride=stride, bias=False)
            self.downsample = nn.Sequential(shortcut, nn.BatchNorm2d(outputs))

    def forward(self, inputs: Tensor) -> Tensor:
        """The next images, (B, WIDER · width, H / stride, W / stride).

        Args:
            inputs: (B, inputs, H, W).
        """
        inside = self.relu(self.bn1(self.conv1(inputs)))
        inside = self.relu(self.bn2(self.conv2(inside)))
        beside = inputs if self.downsample is None else self.downsample(inputs)
        added: Tensor = self.relu(self.bn3(self.conv3(inside)) + beside)
        return added
