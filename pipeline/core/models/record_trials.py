"""Refuse layer records of the user's that do not fit one another, or do not fit the data.

Fast engines read and write memory by the sizes in the records: with a wrong size they would
reach beyond their arrays. So records are tried first, in plain torch.
"""

import torch
from torch import Tensor

from pipeline.core.description import Description
from pipeline.core.models.forward import forward
from pipeline.core.models.layers import Flatten, Layers, Linear, Residual, parameters
from pipeline.core.models.module_trials import refuse_shape, trial_batch
from pipeline.core.models.modules import seeded
from pipeline.core.models.record_checks import called


def refuse_unfit(layers: Layers, data: Description) -> None:
    """Compute the network for a batch of two examples, with all weights 0.

    Args:
        layers: of the network; ``record_checks`` has accepted them.
        data: what the examples are.

    Raises:
        ValueError: with one line, if a layer does not take the outputs of those before it,
            or if the outputs have another shape than the labels ask for.
    """
    weights = {name: torch.zeros(one.shape) for name, one in parameters(layers).items()}
    with torch.no_grad(), seeded(0):
        batch = trial_batch(data)
        result = _through(layers, weights, batch)
    refuse_shape(result, (len(batch), *data.output_shape))


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
                f"its {called(layer)} gets {given}; put a Flatten or a GlobalAveragePool "
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
                f"its {called(layer)} does not take its inputs {given}: {said}"
            ) from None
    return hidden
