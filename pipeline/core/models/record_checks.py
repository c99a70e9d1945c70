"""Refuse layer records that do not fit one another, or do not fit the data.

Fast engines read and write memory by the sizes in the records: with a wrong size they would
reach beyond their arrays. All records of the user's are tried here first, in plain torch.
"""

from collections import Counter
from collections.abc import Iterator
from typing import get_args

import torch
from torch import Tensor

from pipeline.core.description import Description, Tokens
from pipeline.core.models.forward import forward
from pipeline.core.models.layers import (
    KINDS,
    BatchNorm,
    Conv,
    Flatten,
    Layer,
    Layers,
    Linear,
    Residual,
    kernels,
    parameters,
)
from pipeline.core.models.modules import refuse_shape, seeded, trial_batch

Named = Linear | Conv | BatchNorm
SIZES = ("inputs", "outputs", "channels", "kernel", "stride")
"""fields of records that must be whole numbers above 0"""


def refuse_unfit(layers: Layers, data: Description) -> None:
    """Check every record, and then compute the network for a batch of two examples.

    Args:
        layers: of the network, as the user has written them.
        data: what the examples are.

    Raises:
        ValueError: with one line, if a record has an impossible size or kind, if two have
            one name, if a layer does not take the outputs of those before it, if there is
            nothing to prune, or if the outputs have another shape than the labels ask for.
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
    weights = {name: torch.zeros(one.shape) for name, one in parameters(layers).items()}
    with torch.no_grad(), seeded(0):
        batch = trial_batch(data)
        result = _through(layers, weights, batch)
    refuse_shape(result, (len(batch), *data.output_shape))


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
    what = _called(layer)
    if type(layer.name) is not str or not layer.name:
        raise ValueError(f"the name of its {what} is no text; give each layer a name")
    for field in SIZES:
        value = getattr(layer, field, 1)
        if type(value) is not int or value < 1:
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


def _through(layers: Layers, weights: dict[str, Tensor], hidden: Tensor) -> Tensor:
    """A tensor of the shape of the layers' outputs; torch refuses most misfits itself."""
    for number, layer in enumerate(layers):
        given = tuple(hidden.shape)
        if isinstance(layer, Residual):
            body = _through(layer.body, weights, hidden)
            shortcut = _through(layer.shortcut, weights, hidden)
            if body.shape != shortcut.shape:  # torch would repeat the smaller one
                raise ValueError(
                    f"a Residual adds {tuple(body.shape)} of its body and "
                    f"{tuple(shortcut.shape)} of its shortcut; give both one shape"
                )
            hidden = body
            continue
        if isinstance(layer, Linear) and len(given) != 2:  # torch would take rows of it
            raise ValueError(
                f"its {_called(layer)} gets {given}; put a Flatten or a GlobalAveragePool "
                "before it"
            )
        if isinstance(layer, Flatten) and number and len(given) == 2:
            raise ValueError(
                f"its layer {number + 1}, a Flatten, gets {given}, which is flat; leave it "
                "out"
            )
        try:
            hidden = forward((layer,), weights, hidden, training=False)
        except Exception as error:
            said = " ".join(str(error).split())
            raise ValueError(
                f"its {_called(layer)} does not take its inputs {given}: {said}"
            ) from None
    return hidden


def _called(layer: Layer) -> str:
    return f"{type(layer).__name__} {getattr(layer, 'name', '')}".strip()
