"""The residual networks for CIFAR-10: ResNet-8, -14, -20, -32, -44 and -56."""

from pipeline.core.description import Description
from pipeline.core.models.layers import (
    BatchNorm,
    Conv,
    GlobalAveragePool,
    Layer,
    Linear,
    Network,
    ReLU,
    Residual,
)

CHANNELS = (16, 32, 64)
"""channels of each group of blocks; the second and third group halve height and width"""
BLOCKS_PER_GROUP = {
    "resnet-8": 1,
    "resnet-14": 2,
    "resnet-20": 3,
    "resnet-32": 5,
    "resnet-44": 7,
    "resnet-56": 9,
}
"""n blocks per group make 6n + 2 layers. He et al. have no network with n = 1: it is for
machines on which a ResNet-20 is too slow"""


def build(
    name: str,
    widths: tuple[int, ...] | None,
    data: Description,
) -> Network:
    """A convolution, three groups of residual blocks, average pool, linear output.

    Source: He et al. 2016 (arXiv:1512.03385), section 4.2. Deviation, as in open_lth:
    where a block changes shape, its shortcut is a 1 × 1 convolution with batch norm
    (kind ``shortcut``) and not padding with zeros. Frankle & Carbin's "ResNet-18" is
    this ResNet-20. Convolutions have no bias.

    Args:
        name: a key of BLOCKS_PER_GROUP.
        widths: not used.
        data: what the examples are: images in classes; of any size.
    """
    del widths
    first = Conv(name="conv", inputs=data.images.shape[0], outputs=CHANNELS[0], bias=False)
    layers: list[Layer] = [
        first,
        BatchNorm(name="norm", channels=CHANNELS[0]),
        ReLU(),
    ]
    inputs = CHANNELS[0]
    number = 0
    for channels in CHANNELS:
        for _ in range(BLOCKS_PER_GROUP[name]):
            number += 1
            layers.append(_block(f"block{number}", inputs, channels))
            inputs = channels
    output = Linear(name="fc", inputs=inputs, outputs=data.num_classes, kind="output")
    return (*layers, GlobalAveragePool(), output)


def _block(name: str, inputs: int, outputs: int) -> Residual:
    """Two 3 × 3 convolutions; where the channels double, the first has stride 2."""
    stride = 1 if inputs == outputs else 2
    body = (
        Conv(
            name=f"{name}.conv1",
            inputs=inputs,
            outputs=outputs,
            stride=stride,
            bias=False,
        ),
        BatchNorm(name=f"{name}.norm1", channels=outputs),
        ReLU(),
        Conv(name=f"{name}.conv2", inputs=outputs, outputs=outputs, bias=False),
        BatchNorm(name=f"{name}.norm2", channels=outputs),
    )
    if stride == 1:
        return Residual(body=body)
    shortcut = Conv(
        name=f"{name}.shortcut",
        inputs=inputs,
        outputs=outputs,
        kernel=1,
        stride=stride,
        bias=False,
        kind="shortcut",
    )
    norm = BatchNorm(name=f"{name}.shortcut_norm", channels=outputs)
    return Residual(body=body, shortcut=(shortcut, norm))
