"""Hidden units that give signs, in the place of ReLU units.

Source: Diffenderfer & Kailkhura 2021, arXiv:2103.09377, for networks whose weights and
activations are binary (MPT-1/1): each layer is followed by its MaxPool, if it has one, a
batch norm, and the sign; nothing follows the last.
"""

from collections.abc import Iterator, Sequence

from pipeline.core.models.layers import (
    BatchNorm,
    Conv,
    Layer,
    Layers,
    Linear,
    MaxPool,
    ReLU,
    Sign,
)

PREFIX = "binary-"
"""what stands before the name of the network with ReLU units"""


def with_units_of(name: str, layers: Sequence[Layer]) -> Layers:
    """The layers with signs for ReLU units, if the name begins with PREFIX."""
    return tuple(_with_signs(layers) if name.startswith(PREFIX) else layers)


def _with_signs(layers: Sequence[Layer]) -> Iterator[Layer]:
    """A norm and a sign in the place of each ReLU, behind the MaxPool that follows it."""
    last: Linear | Conv | None = None
    waiting = False
    for layer in layers:
        if waiting and not isinstance(layer, MaxPool):
            assert last is not None, "a ReLU stands behind a layer with weights"
            outputs = last.outputs
            yield from (BatchNorm(name=f"norm_{last.name}", channels=outputs), Sign())
            waiting = False
        if isinstance(layer, ReLU):
            waiting = True
        else:
            yield layer
        if isinstance(layer, Linear | Conv):
            last = layer
