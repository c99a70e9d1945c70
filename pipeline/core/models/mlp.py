"""Fully connected networks: LeNet-300-100, and any other by its widths."""

from pipeline.core.models.layers import Flatten, Layer, Linear, Network, ReLU

WIDTHS = {"lenet-300-100": (300, 100)}


def build(
    name: str,
    widths: tuple[int, ...] | None,
    *,
    image_shape: tuple[int, int, int],
    num_classes: int,
) -> Network:
    """Linear layers ``fc1``, ``fc2``, … with ReLU between them; the last is the output.

    Source of ``lenet-300-100``: Frankle & Carbin 2019 (arXiv:1803.03635), figure 2,
    where C·H·W is 784; smaller images make the first layer smaller.

    Args:
        name: ``mlp`` or a key of WIDTHS.
        widths: of the hidden layers, for ``mlp`` only.
        image_shape: (C, H, W).
        num_classes: number of logits.

    Raises:
        ValueError: if ``mlp`` gets no widths, or one below 1.
    """
    hidden = WIDTHS.get(name, widths)
    if not hidden or min(hidden) < 1:
        raise ValueError(
            f"{name} needs the widths of its hidden layers, each at least 1, and got "
            f"{hidden}; give for example widths: [300, 100]"
        )
    channels, height, width = image_shape
    layers: list[Layer] = [Flatten()]
    inputs = channels * height * width
    for number, outputs in enumerate(hidden, start=1):
        layers += [Linear(name=f"fc{number}", inputs=inputs, outputs=outputs), ReLU()]
        inputs = outputs
    output = Linear(
        name=f"fc{len(hidden) + 1}", inputs=inputs, outputs=num_classes, kind="output"
    )
    return (*layers, output)
