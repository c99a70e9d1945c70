"""Fully connected networks: LeNet-300-100, and any other by its widths."""

from pipeline.core.description import Description, Tokens
from pipeline.core.models.binary import PREFIX, with_units_of
from pipeline.core.models.layers import Flatten, Layer, Linear, Network, ReLU

WIDTHS = {"lenet-300-100": (300, 100), f"{PREFIX}lenet-300-100": (300, 100)}


def build(
    name: str,
    widths: tuple[int, ...] | None,
    data: Description,
) -> Network:
    """Linear layers ``fc1``, ``fc2``, … with ReLU between them; the last is the output.

    Source of ``lenet-300-100``: Frankle & Carbin 2019 (arXiv:1803.03635), figure 2,
    where C·H·W is 784; smaller images make the first layer smaller. With PREFIX, units
    give signs.

    Args:
        name: ``mlp`` or a key of WIDTHS.
        widths: of the hidden layers, for ``mlp`` only.
        data: what the examples are: images or vectors, in classes.

    Raises:
        ValueError: if ``mlp`` gets no widths, or one below 1; or if it does not take such
            examples.
    """
    hidden = WIDTHS.get(name, widths)
    if not hidden or min(hidden) < 1:
        raise ValueError(
            f"{name} needs the widths of its hidden layers, each at least 1, and got "
            f"{hidden}; give for example widths: [300, 100]"
        )
    if isinstance(data.inputs, Tokens):
        raise ValueError(
            f"{name} takes images or vectors, and the data are {data.inputs}; import a "
            "model of your own"
        )
    layers: list[Layer] = [Flatten()]
    inputs = data.inputs.num_values
    for number, outputs in enumerate(hidden, start=1):
        layers += [Linear(name=f"fc{number}", inputs=inputs, outputs=outputs), ReLU()]
        inputs = outputs
    output = Linear(
        name=f"fc{len(hidden) + 1}", inputs=inputs, outputs=data.num_classes, kind="output"
    )
    return with_units_of(name, [*layers, output])
