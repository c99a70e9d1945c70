"""Layer records of the user's are refused where they do not fit, before an engine runs."""

import re

import numpy as np
import pytest
from torch import nn

from pipeline.core.description import (
    Classes,
    Description,
    Tokens,
    TokensAt,
    Vectors,
    of_images,
)
from pipeline.core.models import MODELS, build
from pipeline.core.models.layers import (
    BatchNorm,
    Conv,
    Flatten,
    GlobalAveragePool,
    Linear,
    MaxPool,
    ReLU,
    Residual,
)
from pipeline.core.models.record_checks import refuse_wrong
from pipeline.core.models.record_trials import refuse_unfit

IMAGES = of_images((1, 8, 8), classes=3)
VECTORS = Description(inputs=Vectors(num_values=64), labels=Classes(number=3))
TOKENS = Description(
    inputs=Tokens(length=3, vocabulary=5), labels=TokensAt(positions=(2,), vocabulary=5)
)
CONV = Conv(name="conv", inputs=1, outputs=4)
OUTPUT = Linear(name="fc", inputs=4, outputs=3, kind="output")


def refuse(layers, data):
    """As the plan does."""
    refuse_wrong(layers, data)
    refuse_unfit(layers, data)


def fc(**changes):
    return Linear(**({"name": "fc", "inputs": 64, "outputs": 3} | changes))


def test_records_that_fit_images_or_vectors_pass():
    layers = (Flatten(), fc(outputs=5), ReLU(), fc(name="output", inputs=5))
    refuse(layers, IMAGES)
    refuse(layers, VECTORS)
    refuse((CONV, Residual(body=()), GlobalAveragePool(), OUTPUT), IMAGES)
    refuse((Flatten(), fc(inputs=np.prod((1, 8, 8)))), IMAGES)


@pytest.mark.parametrize(
    "name", [n for n, m in MODELS.items() if not (m.is_module or m.takes_widths)]
)
def test_every_model_of_ours_passes(name):
    data = of_images((3, 32, 32), classes=10)
    refuse(build(name, widths=None, data=data), data)


@pytest.mark.parametrize(
    ("layers", "message"),
    [
        ((Flatten(), fc(inputs=70)), "its Linear fc does not take its inputs (2, 64): "),
        ((Flatten(), fc(outputs=4)), "it gives (2, 4) for 2 examples; give (2, 3)"),
        (
            (CONV, BatchNorm(name="n", channels=3)),
            "its BatchNorm n does not take its inputs (2, 4, 8",
        ),
        (
            (Conv(name="c", inputs=2, outputs=4),),
            "its Conv c does not take its inputs (2, 1, 8, 8)",
        ),
        ((MaxPool(),) * 4, "its MaxPool does not take its inputs (2, 1, 1, 1): "),
    ],
)
def test_sizes_that_do_not_fit_are_refused(layers, message):
    kernel = () if any(isinstance(one, Linear | Conv) for one in layers) else (OUTPUT,)
    with pytest.raises(ValueError, match=re.escape(message)) as refused:
        refuse((*layers, *kernel), IMAGES)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("layers", "message"),
    [
        (
            (fc(inputs=8), Flatten(), fc(name="output", inputs=24)),
            "its Linear fc gets (2, 1, 8, 8); put a Flatten or a GlobalAveragePool before",
        ),
        (
            (CONV, GlobalAveragePool(), Flatten(), OUTPUT),
            "its layer 3, a Flatten, gets (2, 4), which is flat; leave it out",
        ),
        (
            (CONV, Residual(body=(Conv(name="c", inputs=4, outputs=1),)), ReLU()),
            "adds (2, 1, 8, 8) of its body and (2, 4, 8, 8) of its shortcut; give both one",
        ),
    ],
)
def test_what_torch_would_take_and_other_engines_would_not_is_refused(layers, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        refuse(layers, IMAGES)


def test_two_layers_of_one_name_are_refused_wherever_they_stand():
    inside = Residual(body=(Conv(name="conv", inputs=4, outputs=4),))
    with pytest.raises(ValueError, match="2 of its layers are called conv; give each its"):
        refuse((CONV, inside, GlobalAveragePool(), OUTPUT), IMAGES)


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        (fc(inputs=64.0), "inputs of its Linear fc is 64.0; give an int above 0"),
        (fc(outputs=0), "outputs of its Linear fc is 0; give an int above 0"),
        (fc(kind=None), "kind of its Linear fc is None; give one of conv, shortcut, fc"),
        (fc(name=""), "the name of its Linear is no text; give each layer a name"),
        (
            Conv(name="c", inputs=1, outputs=1, kernel=2),
            "kernel of its Conv c is 2; give an odd one",
        ),
        (Residual(body=[ReLU()]), "a part of its Residual is list; give a tuple"),
        (nn.Sequential(nn.ReLU()), "one of its layers is Sequential( (0): ReLU() ); give"),
    ],
)
def test_a_record_that_is_none_is_refused(layer, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        refuse((layer, Flatten(), fc(name="output")), IMAGES)


def test_nothing_to_prune_and_tokens_are_refused():
    with pytest.raises(ValueError, match="it has no prunable tensor: no Linear and no Con"):
        refuse((Flatten(),), of_images((1, 1, 3), classes=3))
    with pytest.raises(ValueError, match="take images or vectors, and the data are sequen"):
        refuse((fc(),), TOKENS)
