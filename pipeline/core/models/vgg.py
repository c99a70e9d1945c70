"""VGG-11, -16 and -19 for small images, with batch norm and one linear layer."""

from pipeline.core.description import Description
from pipeline.core.models.layers import (
    BatchNorm,
    Conv,
    GlobalAveragePool,
    Layer,
    Linear,
    MaxPool,
    Network,
    ReLU,
    pooled_size,
)

CHANNELS = (64, 128, 256, 512, 512)
"""channels of each group of convolutions; a MaxPool stands between two groups"""
CONVS_PER_GROUP = {
    "vgg-11": (1, 1, 2, 2, 2),
    "vgg-16": (2, 2, 3, 3, 3),
    "vgg-19": (2, 2, 4, 4, 4),
}


def build(
    name: str,
    widths: tuple[int, ...] | None,
    data: Description,
) -> Network:
    """Five groups of 3 × 3 convolutions, average pool, linear output.

    Source: Simonyan & Zisserman 2015 (arXiv:1409.1556), in the form of Frankle & Carbin
    2019 (arXiv:1803.03635): batch norm after every convolution, one linear layer, four
    pools and then the average. Deviation from open_lth: the convolutions have no bias,
    since batch norm would cancel it.

    Args:
        name: a key of CONVS_PER_GROUP.
        widths: not used.
        data: what the examples are: images in classes.

    Raises:
        ValueError: if the pools leave nothing of such images.
    """
    del widths
    pooled_size(name, data.images.shape, len(CHANNELS) - 1)
    layers: list[Layer] = []
    inputs = data.images.shape[0]
    number = 0
    for channels, num_convs in zip(CHANNELS, CONVS_PER_GROUP[name], strict=True):
        if layers:
            layers.append(MaxPool())
        for _ in range(num_convs):
            number += 1
            layers += [
                Conv(name=f"conv{number}", inputs=inputs, outputs=channels, bias=False),
                BatchNorm(name=f"norm{number}", channels=channels),
                ReLU(),
            ]
            inputs = channels
    output = Linear(name="fc", inputs=inputs, outputs=data.num_classes, kind="output")
    return (*layers, GlobalAveragePool(), output)
