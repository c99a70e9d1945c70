"""What the server imports that workers are forked from."""

import pytest

from pipeline.core.description import of_images
from pipeline.core.models import build
from pipeline.run.executors import preloads


@pytest.mark.parametrize(
    ("engine", "model", "module"),
    [
        ("dense", "lenet-300-100", preloads.KERNELS),
        ("dense", "conv-2", preloads.FORWARD),
        ("sparse", "lenet-300-100", preloads.KERNELS),
        ("southampton", "lenet-300-100", preloads.FORWARD),
    ],
)
def test_nobody_waits_for_what_an_engine_does_not_need(engine, model, module):
    network = build(model, widths=None, data=of_images((1, 28, 28), classes=10))
    assert preloads.module_for(engine, network) == module
