"""Conv-2, -4, -6 and -8, small VGG-like networks; ``cnn``, one of the user's widths."""

from collections.abc import Sequence

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


SMALL = "cnn"
"""the network whose widths the user chooses"""


def build(
    name: str,
    widths: tuple[int, ...] | None,
    data: Description,
) -> Network:
    """Convolutions of 3 × 3 with MaxPools between them, then linear layers.

    Conv-2 to Conv-8 have a MaxPool behind each pair of convolutions, and linear layers
    256, 256, C. ``cnn`` has one behind each convolution, and one hidden linear layer.
    Every layer has a bias, none a norm. With PREFIX, units give signs, and a norm stands
    before each.

    Source of Conv-2 to Conv-6: Frankle & Carbin 2019 (arXiv:1803.03635), figure 2;
    ``conv-8``: Ramanujan et al. 2020 (arXiv:1911.13299). Conv-6 has 2,261,184 weights on
    CIFAR-10, as in Zhou's and Ramanujan's code; the 1.7 million of the paper's table do
    not fit its own description.

    Args:
        name: SMALL, or a key of NUM_PAIRS.
        widths: of SMALL only: channels of each convolution, and units of the hidden layer.
        data: what the examples are: images in classes.

    Raises:
        ValueError: if SMALL gets fewer than two widths, or one below 1; or if the pools
            leave nothing of such images.
    """
    if name == SMALL:
        *singles, hidden = _checked(widths)
        return tuple(_layers(name, [(width,) for width in singles], (hidden,), data))
    pairs = [(width, width) for width in CHANNELS[: NUM_PAIRS[name]]]
    return with_units_of(name, _layers(name, pairs, FC_WIDTHS, data))


def _checked(widths: tuple[int, ...] | None) -> tuple[int, ...]:
    if not widths or len(widths) < 2 or min(widths) < 1:
        raise ValueError(
            f"{SMALL} needs the channels of its convolutions and the units of its hidden "
            f"layer, each at least 1, and got {widths}; give for example "
            "widths: [8, 16, 64]"
        )
    return widths


def _layers(
    name: str,
    blocks: Sequence[tuple[int, ...]],
    hidden: tuple[int, ...],
    data: Description,
) -> list[Layer]:
    """Convolutions with these channels, a MaxPool behind each block; linear layers."""
    height, width = pooled_size(name, data.images.shape, len(blocks))
    layers: list[Layer] = []
    inputs = data.images.shape[0]
    number = 0
    for block in blocks:
        for channels in block:
            number += 1
            layers += [
                Conv(name=f"conv{number}", inputs=inputs, outputs=channels),
                ReLU(),
            ]
            inputs = channels
        layers.append(MaxPool())
    layers.append(Flatten())
    inputs *= height * width
    for number, outputs in enumerate(hidden, start=1):
        layers += [Linear(name=f"fc{number}", inputs=inputs, outputs=outputs), ReLU()]
        inputs = outputs
    last = f"fc{len(hidden) + 1}"
    output = Linear(name=last, inputs=inputs, outputs=data.num_classes, kind="output")
    return [*layers, output]
