"""Check each layer record of a user's network by itself: its sizes, its kind, its name."""

from collections import Counter
from collections.abc import Iterator
from numbers import Integral
from typing import get_args

from pipeline.core.description import Description, Tokens
from pipeline.core.models.layers import (
    KINDS,
    BatchNorm,
    Conv,
    Layer,
    Layers,
    Linear,
    Residual,
    kernels,
)

Named = Linear | Conv | BatchNorm
SIZES = ("inputs", "outputs", "channels", "kernel", "stride")
"""fields of records that must be whole numbers above 0"""


def refuse_wrong(layers: Layers, data: Description) -> None:
    """Check every record. ``record_trials`` tells whether they fit one another.

    Args:
        layers: of the network, as the user has written them.
        data: what the examples are.

    Raises:
        ValueError: with one line, if a record has an impossible size or kind, if two have
            one name, if there is nothing to prune, or if the data are tokens.
    """
    if isinstance(data.inputs, Tokens):
        raise ValueError(
            f"layer records take images or vectors, and the data are {data.inputs}; "
            "return a torch.nn.Module"
        )
    named = [layer for layer in _every(layers) if isinstance(layer, Named)]
    for layer in named:
        _refuse_fields(layer)
    for name, number in Counter(layer.name for layer in named).items():
        if number > 1:  # they would share their tensors
            raise ValueError(f"{number} of its layers are called {name}; give each its own")
    if not kernels(layers):
        raise ValueError("it has no prunable tensor: no Linear and no Conv; add one")


def _every(layers: Layers) -> Iterator[Layer]:
    """All records; those inside a residual connection come before it."""
    for layer in layers:
        if not isinstance(layer, get_args(Layer)):
            found = " ".join(repr(layer).split())
            raise ValueError(
                f"one of its layers is {found:.40}; give records of "
                "pipeline.core.models.layers only"
            )
        if isinstance(layer, Residual):
            for part in (layer.body, layer.shortcut):
                if not isinstance(part, tuple):
                    raise ValueError(
                        f"a part of its Residual is {type(part).__name__}; give a tuple"
                    )
                yield from _every(part)
        yield layer


def _refuse_fields(layer: Named) -> None:
    what = called(layer)
    if type(layer.name) is not str or not layer.name:
        raise ValueError(f"the name of its {what} is no text; give each layer a name")
    for field in SIZES:
        value = getattr(layer, field, 1)
        if isinstance(value, bool) or not isinstance(value, Integral) or value < 1:
            raise ValueError(f"{field} of its {what} is {value!r}; give an int above 0")
    if isinstance(layer, Conv) and layer.kernel % 2 == 0:
        raise ValueError(
            f"kernel of its {what} is {layer.kernel}; give an odd one, around which there "
            "are as many pixels on each side"
        )
    if not isinstance(layer, BatchNorm) and layer.kind not in KINDS:
        raise ValueError(
            f"kind of its {what} is {layer.kind!r}; give one of {', '.join(KINDS)}"
        )


def called(layer: Layer) -> str:
    """A layer in messages: its record and its name."""
    return f"{type(layer).__name__} {getattr(layer, 'name', '')}".strip()
