"""Networks that read sequences: sizes of their sources, and what they may look at."""

from math import prod

import pytest
import torch

from pipeline.core import seeding
from pipeline.core.description import Classes, Description, Tokens, TokensAt, of_images
from pipeline.core.models import build, modules
from pipeline.core.models.forward import forward
from pipeline.core.models.layers import Module, parameters

ROWS = of_images((1, 28, 28), classes=10)
PAIRS = Description(inputs=Tokens(length=2, vocabulary=67), labels=Classes(number=67))
SUMS = Description(inputs=Tokens(length=4, vocabulary=99), labels=Classes(number=97))
TEXT = Description(
    inputs=Tokens(length=6, vocabulary=9), labels=TokensAt(positions=(2, 5), vocabulary=9)
)


def network(name: str, widths: tuple[int, ...], data: Description) -> Module:
    found = build(name, widths=widths, data=data)
    assert isinstance(found, Module)
    return found


def logits(found: Module, inputs: torch.Tensor) -> torch.Tensor:
    weights = modules.initial(found, seeding.generator(0, "init"))
    tensors = {name: torch.from_numpy(value) for name, value in weights.items()}
    return forward(found, tensors, inputs, training=False)


@pytest.mark.parametrize(("name", "gates"), [("lstm", 4), ("gru", 3)])
def test_gates_are_packed_and_kinds_tell_input_from_state(name: str, gates: int) -> None:
    tensors = parameters(network(name, (128,), ROWS))
    prunable = {n: (t.shape, t.kind) for n, t in tensors.items() if t.kind}
    assert prunable == {
        "cell.weight_ih_l0": ((gates * 128, 28), "input"),
        "cell.weight_hh_l0": ((gates * 128, 128), "recurrent"),
        "output.weight": ((10, 128), "output"),
    }


@pytest.mark.parametrize(("name", "gates"), [("lstm", 4), ("gru", 3)])
def test_a_gate_is_a_matrix_of_its_own_in_fans_and_counts(name: str, gates: int) -> None:
    tensors = parameters(network(name, (8,), ROWS))
    assert {n: (t.parts, t.fan_in, t.fan_out) for n, t in tensors.items() if t.kind} == {
        "cell.weight_ih_l0": (gates, 28, 8),
        "cell.weight_hh_l0": (gates, 8, 8),
        "output.weight": (1, 8, 10),
    }


def test_weights_of_the_cells_are_as_many_as_in_the_source() -> None:
    """Zhang & Stadie (arXiv:1912.00120): 684,800 for the LSTM and 513,600 for the GRU."""
    for name, wanted in (("lstm", 684_800), ("gru", 513_600)):
        tensors = parameters(network(name, (400,), ROWS))
        cells = [t for n, t in tensors.items() if t.kind and n.startswith("cell")]
        assert sum(prod(t.shape) for t in cells) == wanted


def test_the_transformer_has_the_sources_parameters() -> None:
    """394,240 beside the embeddings."""
    tensors = parameters(network("transformer", (128, 128), SUMS))
    inner = [
        t for n, t in tensors.items() if n not in ("embedding.weight", "output.weight")
    ]
    assert sum(prod(t.shape) for t in inner) == 394_240
    assert {t.kind for t in tensors.values()} == {
        "attention",
        "embedding",
        "fc",
        "output",
        None,
    }


@pytest.mark.parametrize(
    ("name", "widths"), [("lstm", (8, 8)), ("gru", (8,)), ("transformer", (32, 32))]
)
def test_no_position_sees_what_comes_after_it(name: str, widths: tuple[int, ...]) -> None:
    found = network(name, widths, TEXT)
    tokens = torch.tensor([[1, 2, 3, 4, 5, 6], [1, 2, 3, 8, 7, 0]])
    first, second = logits(found, tokens)
    assert torch.equal(first[:3], second[:3])
    assert not torch.equal(first[3], second[3])


@pytest.mark.parametrize("name", ["lstm", "gru"])
def test_rows_of_an_image_are_steps(name: str) -> None:
    """A later row changes the answer, and an image upside down is another sequence."""
    found = network(name, (8,), ROWS)
    image = torch.linspace(0, 1, 784).view(1, 1, 28, 28)
    assert not torch.allclose(logits(found, image), logits(found, image.flip(2)))


def test_the_token_mlp_takes_pairs_in_any_order() -> None:
    found = network("token-mlp", (500, 48), PAIRS)
    there, back = logits(found, torch.tensor([[3, 5], [5, 3]]))
    assert torch.equal(there, back)
    sizes = [prod(t.shape) for t in parameters(found).values()]
    assert sum(sizes) == 67 * 500 + 500 * 48 + 48 * 500 + 500 * 67


@pytest.mark.parametrize(
    ("name", "widths", "data", "message"),
    [
        ("lstm", None, ROWS, "needs the width of each layer"),
        ("gru", (8, 9), ROWS, "all equal"),
        ("transformer", (30,), SUMS, "multiples of 32"),
        ("transformer", (32,), ROWS, "takes tokens, and the data are images"),
        ("token-mlp", (500,), PAIRS, "widths of embedding and hidden layer"),
        ("token-mlp", (500, 48), ROWS, "takes tokens"),
    ],
)
def test_what_does_not_fit_is_refused(name, widths, data, message) -> None:
    with pytest.raises(ValueError, match=message):
        build(name, widths=widths, data=data)


class Short(torch.nn.Module):
    """A network with places for so many tokens, however long sequences are."""

    def __init__(self, places: int) -> None:
        super().__init__()
        self.places = torch.nn.Embedding(places, 9)

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        at: torch.Tensor = self.places(torch.arange(inputs.shape[1]))
        return at.expand(len(inputs), *at.shape)


def test_a_sequence_longer_than_the_model_is_refused_with_both_lengths() -> None:
    assert modules.described(lambda: Short(6), origin="six", data=TEXT).tensors
    said = "it takes sequences of at most 4 tokens, and those of the data have 6; make room"
    with pytest.raises(ValueError, match=said):
        modules.described(lambda: Short(4), origin="four", data=TEXT)
