"""Conv-2, -4, -6 and -8: small VGG-like networks with three linear layers."""

from pipeline.core.description import Description
from pipeline.core.models.binary import PREFIX, with_units_of
from pipeline.core.models.layers import (
    Conv,
    Flatten,
    Layer,
    Linear,
    MaxPool,
    Network,
    ReLU,
    pooled_size,
)

CHANNELS = (64, 128, 256, 512)
"""channels of each pair of convolutions"""
NUM_PAIRS = {
    f"{units}conv-{2 * pairs}": pairs for pairs in (1, 2, 3, 4) for units in ("", PREFIX)
}
FC_WIDTHS = (256, 256)


def build(
    name: str,
    widths: tuple[int, ...] | None,
    data: Description,
) -> Network:
    """Pairs of 3 × 3 convolutions, a MaxPool behind each; then linear layers 256, 256, C.

    Source: Frankle & Carbin 2019 (arXiv:1803.03635), figure 2; ``conv-8``: Ramanujan
    et al. 2020 (arXiv:1911.13299). Every layer has a bias, none a norm. Conv-6 has
    2,261,184 weights on CIFAR-10, as in Zhou's and Ramanujan's code; the 1.7 million
    of the paper's table do not fit its own description. With PREFIX, units give signs,
    and a norm stands before each.

    Args:
        name: a key of NUM_PAIRS.
        widths: not used.
        data: what the examples are: images in classes.

    Raises:
        ValueError: if the pools leave nothing of such images.
    """
    del widths
    num_pairs = NUM_PAIRS[name]
    height, width = pooled_size(name, data.images.shape, num_pairs)
    layers: list[Layer] = []
    inputs = data.images.shape[0]
    for pair, channels in enumerate(CHANNELS[:num_pairs]):
        for number in (2 * pair + 1, 2 * pair + 2):
            layers += [
                Conv(name=f"conv{number}", inputs=inputs, outputs=channels),
                ReLU(),
            ]
            inputs = channels
        layers.append(MaxPool())
    layers.append(Flatten())
    inputs *= height * width
    for number, outputs in enumerate(FC_WIDTHS, start=1):
        layers += [Linear(name=f"fc{number}", inputs=inputs, outputs=outputs), ReLU()]
        inputs = outputs
    output = Linear(name="fc3", inputs=inputs, outputs=data.num_classes, kind="output")
    return with_units_of(name, [*layers, output])
