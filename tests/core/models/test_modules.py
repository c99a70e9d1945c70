"""Torch modules as networks: names, kinds, buffers, chance, and their engines."""

from dataclasses import replace
from functools import cache, partial

import numpy as np
import pytest
import torch
from helpers.train_settings import PLAIN
from torch import Tensor, nn

from pipeline.core import masks, seeding
from pipeline.core.arrays import is_finite
from pipeline.core.batches import Dataset, Split
from pipeline.core.description import Description, Tokens, TokensAt, Vectors, of_images
from pipeline.core.models import build, modules
from pipeline.core.models.init import initial_weights
from pipeline.core.models.layers import Module, kernels, parameters
from pipeline.core.training.engine import Job
from pipeline.core.training.loop import train
from pipeline.engines import make_engine, resolve

IMAGES = of_images((1, 6, 6), classes=3, mean=(127.0,), std=(70.0,))
TOKENS = Description(
    inputs=Tokens(length=5, vocabulary=7), labels=TokensAt(positions=(2, 4), vocabulary=7)
)


def convolutional() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(1, 4, 3, padding=1, bias=False),
        nn.BatchNorm2d(4),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(144, 3),
    )


def fully_connected() -> nn.Module:
    """``mlp`` with widths [5], under its names."""

    class MLP(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.fc1, self.fc2 = nn.Linear(36, 5), nn.Linear(5, 3)

        def forward(self, images):
            return self.fc2(torch.relu(self.fc1(images.flatten(1))))

    return MLP()


class Sequence(nn.Module):
    """Everything a network for sequences may have."""

    def __init__(self, *, dropout=0.0, tied=False) -> None:
        super().__init__()
        self.embedding = nn.Embedding(7, 8)
        self.attention = nn.MultiheadAttention(8, 2, batch_first=True)
        self.cell = nn.LSTM(8, 8, batch_first=True)
        self.norm = nn.LayerNorm(8)
        self.dropout = nn.Dropout(dropout)
        self.output = nn.Linear(8, 7)
        self.register_buffer("places", torch.arange(5))
        if tied:
            self.output.weight = self.embedding.weight

    def forward(self, tokens):
        hidden = self.embedding(tokens)
        hidden = hidden + self.attention(hidden, hidden, hidden, need_weights=False)[0]
        hidden, _ = self.cell(self.dropout(hidden))
        return self.output(self.norm(hidden))


class Around(nn.Module):
    """A linear layer, with something done to its inputs, which some modules should not."""

    def __init__(self, done=Tensor.clone, *, fixed=False):
        super().__init__()
        self.done = done
        self.linear = nn.Linear(36, 3)
        self.fixed = nn.Linear(36, 36) if fixed else nn.Identity()
        self.fixed.requires_grad_(requires_grad=False)

    def forward(self, images):
        hidden = self.fixed(self.done(images).flatten(1))
        return self.linear(hidden)


class Wayward(Around):
    """Outputs that something in the module makes different each time in training."""

    def __init__(self, change):
        super().__init__()
        self.change = change
        self.calls = 0
        self.register_buffer("held", torch.ones(3))

    def forward(self, images):
        self.calls += self.training
        return super().forward(images) * (self.change(self) if self.training else 1)


def by_growing(module):
    module.held = torch.ones(4)
    return 1


class Masked(nn.Module):
    """Attention under a causal mask and with turned places, which buffers hold."""

    def __init__(self, mask, *, replaces=False):
        super().__init__()
        self.embedding, self.output = nn.Embedding(7, 8), nn.Linear(8, 7)
        self.register_buffer("mask", mask)
        angles = torch.outer(torch.arange(5.0), torch.tensor([1.0, 0.1, 0.01, 0.001]))
        turned = torch.polar(torch.ones(5, 4), angles)
        self.register_buffer("turned", torch.view_as_real(turned))
        self.register_buffer("mean", torch.zeros(7))
        self.register_buffer("seen", torch.tensor(0, dtype=torch.int16))
        self.replaces = replaces

    def forward(self, tokens):
        hidden = torch.view_as_complex(self.embedding(tokens).unflatten(2, (4, 2)))
        hidden = hidden * torch.view_as_complex(self.turned)
        hidden = torch.view_as_real(hidden).flatten(2)
        related = hidden @ hidden.transpose(1, 2)
        if self.mask.dtype == torch.bool:
            related = related.masked_fill(self.mask, float("-inf"))
        else:
            related = related + self.mask
        logits = self.output(related.softmax(-1) @ hidden) * (1 + self.mean)
        if self.training:
            self._notice(logits.detach().mean((0, 1)))
        return logits

    def _notice(self, mean):
        if self.replaces:
            self.mean = self.mean * 0.9 + mean
            self.seen = self.seen + 1
        else:
            self.mean.mul_(0.9).add_(mean)
            self.seen.add_(1)


def causal(dtype=torch.bool):
    mask = torch.ones(5, 5, dtype=torch.bool).triu(1)
    if dtype == torch.bool:
        return mask
    return torch.zeros(5, 5).masked_fill(mask, float("-inf"))


class Cut(Around):
    def forward(self, images):
        return super().forward(images).detach()


def with_buffer(values):
    module = Around()
    module.register_buffer("held", values)
    return module


@cache
def data(description=IMAGES, seed=0):
    rng = np.random.default_rng(seed)

    def part(num):
        if description is TOKENS:
            tokens = rng.integers(0, 7, (num, 5))
            return Split(inputs=tokens, labels=tokens[:, [2, 4]])
        labels = rng.integers(0, 3, num)
        images = rng.integers(0, 100, (num, 1, 6, 6)) + 60 * labels[:, None, None, None]
        return Split(inputs=images.astype(np.uint8), labels=labels)

    return Dataset(
        train=part(60), validation=part(20), test=part(20), description=description
    )


def job(network, description=IMAGES, density=0.5, **settings):
    start = initial_weights(network, "kaiming-normal", seeding.generator(0, "init"))
    rng = np.random.default_rng(1)
    shapes = {name: tensor.shape for name, tensor in kernels(network).items()}
    mask = {name: rng.random(shape) < density for name, shape in shapes.items()}
    return Job(
        network=network,
        start=masks.apply(start, mask),
        mask=mask,
        data=data(description),
        settings=replace(PLAIN, **({"steps": 20, "batch_size": 10} | settings)),
        seed=0,
        round=1,
    )


def trained(job, engine, *, steps=(6,)):
    made = make_engine(engine, [job])
    for num in steps:
        made.advance(num)
    return made


def test_the_rule_finds_what_is_prunable_and_its_kind():
    network = modules.described(Sequence, "sequence", TOKENS)
    assert {name: t.kind for name, t in kernels(network).items()} == {
        "embedding.weight": "embedding",
        "attention.in_proj_weight": "attention",
        "attention.out_proj.weight": "attention",
        "cell.weight_ih_l0": "input",
        "cell.weight_hh_l0": "recurrent",
        "output.weight": "output",
    }
    assert network.applied["embedding.weight"] == 0
    assert network.applied["attention.in_proj_weight"] == 5
    assert parameters(network)["places"].role == "count"


def test_a_function_may_declare_what_is_prunable():
    kinds = {"0.weight": "conv"}
    network = modules.described(lambda: (convolutional(), kinds), "declared", IMAGES)
    assert {name: t.kind for name, t in kernels(network).items()} == kinds
    with pytest.raises(ValueError, match=r"no parameter '9\.weight', which"):
        modules.described(lambda: (convolutional(), {"9.weight": "fc"}), "wrong", IMAGES)
    with pytest.raises(ValueError, match=r"0\.weight is of kind 'kernel'; give conv"):
        modules.described(lambda: (convolutional(), {"0.weight": "kernel"}), "x", IMAGES)


def test_tied_weights_are_one_tensor_and_stay_tied():
    network = modules.described(lambda: Sequence(tied=True), "tied", TOKENS)
    assert "output.weight" not in parameters(network)
    (weights,) = trained(job(network, TOKENS), "reference").weights()
    assert (weights["embedding.weight"] == 0).mean() > 0.4


class Repeated(nn.Module):
    """A block that stands under several names, as in ALBERT."""

    def __init__(self, *, norm):
        super().__init__()
        between = nn.BatchNorm1d(36) if norm else nn.Identity()
        self.blocks = nn.ModuleList([nn.Sequential(nn.Linear(36, 36), between)] * 3)
        self.output = nn.Linear(36, 3)

    def forward(self, images):
        hidden = images.flatten(1)
        for block in self.blocks:
            hidden = hidden + torch.relu(block(hidden))
        return self.output(hidden)


@pytest.mark.parametrize("norm", [False, True])
@pytest.mark.parametrize("engine", ["reference", "batched"])
def test_a_block_with_several_names_is_pruned_and_trained_as_one(engine, norm):
    network = modules.described(partial(Repeated, norm=norm), f"repeated {norm}", IMAGES)
    assert set(kernels(network)) == {"blocks.0.0.weight", "output.weight"}
    assert network.applied["blocks.0.0.weight"] == 3
    one = job(network, IMAGES)
    (weights,) = trained(one, engine).weights()
    kept = one.mask["blocks.0.0.weight"]
    assert (
        weights["blocks.0.0.weight"][kept] != one.start["blocks.0.0.weight"][kept]
    ).all()
    assert (weights["blocks.0.0.weight"][~kept] == 0).all()
    own = modules.filled(network, weights)
    assert torch.equal(own.blocks[2][0].weight, torch.tensor(weights["blocks.0.0.weight"]))


def test_a_buffer_that_no_file_keeps_may_get_its_size_from_the_first_batch():
    class Cached(Around):
        def __init__(self):
            super().__init__()
            self.register_buffer("ones", torch.empty(0), persistent=False)

        def forward(self, images):
            if len(self.ones) < len(images):
                self.ones = torch.ones(len(images), 1)
            return super().forward(images) * self.ones[: len(images)]

    network = modules.described(Cached, "cached", IMAGES)
    plain = modules.described(Around, "plain", IMAGES)
    (weights,) = trained(job(network, IMAGES), "reference").weights()
    (wanted,) = trained(job(plain, IMAGES), "reference").weights()
    assert np.array_equal(weights["linear.weight"], wanted["linear.weight"])


def test_outputs_may_be_of_half_precision():
    def halved(images):
        return images.bfloat16()

    class Half(Around):
        def forward(self, images):
            with torch.autocast("cpu", dtype=torch.bfloat16):
                return super().forward(images)

    assert modules.described(partial(Half, halved), "half", IMAGES).tensors


@pytest.mark.parametrize(
    ("module", "description", "message"),
    [
        (nn.ReLU, IMAGES, r"it gives \(2, 1, 6, 6\) for 2 examples; give \(2, 3\)"),
        (
            lambda: nn.Linear(4, 3),
            IMAGES,
            "fails on a batch of images of 1×6×6: Runtime",
        ),
        (
            lambda: nn.Sequential(nn.Flatten(), nn.AdaptiveAvgPool1d(3)),
            IMAGES,
            "it has no prunable tensor",
        ),
        (
            lambda: nn.Linear(4, 3).double().float().to(torch.float64),
            Description(inputs=Vectors(num_values=4), labels=IMAGES.labels),
            "it fails on a batch of vectors of 4 numbers: RuntimeError",
        ),
        (lambda: 3, IMAGES, "it returns int; return a torch.nn.Module"),
        (
            lambda: with_buffer(torch.ones(3, dtype=torch.complex64)),
            IMAGES,
            "its buffer held is torch.complex64; keep torch.view_as_real of it",
        ),
        (
            lambda: with_buffer(torch.ones(3).double()),
            IMAGES,
            "its buffer held is torch.float64; give float32, whole numbers or bools",
        ),
        (
            lambda: with_buffer(torch.tensor(2**24)),
            IMAGES,
            "its buffer held has whole numbers of 16777216 and more",
        ),
        (
            lambda: Wayward(lambda _: np.random.default_rng().random()),
            IMAGES,
            "two passes from the same weights and the same torch seed give different",
        ),
        (
            lambda: Wayward(lambda module: 1 + module.calls / 1000),
            IMAGES,
            "draw with torch, and keep state in buffers only",
        ),
        (
            lambda: Wayward(lambda m: m.held.add_(m.calls).detach()[0] * 0 + 1),
            IMAGES,
            "give different outputs or buffers",
        ),
        (
            lambda: Wayward(by_growing),
            IMAGES,
            r"held is torch.float32 of shape \(3,\), and a pass in training makes it "
            r"torch.float32 of shape \(4,\); keep its type and shape",
        ),
        (
            lambda: Around(nn.functional.dropout),
            IMAGES,
            "two passes in evaluation give different outputs",
        ),
        (
            lambda: Wayward(lambda module: module.register_buffer("late", Tensor()) or 1),
            IMAGES,
            "its buffer late is made by a forward pass; make it in __init__",
        ),
        (lambda: (nn.Flatten(), {}, 3), IMAGES, "it returns tuple; return a torch.nn.Modu"),
        (Cut, IMAGES, "no gradient reaches its weights"),
        (lambda: Around(Tensor.zero_), IMAGES, "it writes into its inputs"),
        (
            lambda: nn.Sequential(nn.Flatten(), nn.LazyLinear(3)),
            IMAGES,
            "its parameter 1.weight has no size yet",
        ),
        (
            lambda: (Around(fixed=True), {"fixed.weight": "fc"}),
            IMAGES,
            "its parameter fixed.weight is to be pruned, and asks for no gradient",
        ),
    ],
)
def test_what_is_no_network_for_the_data_is_one_line(module, description, message):
    with pytest.raises(ValueError, match=message) as refused:
        modules.described(module, "wrong", description)
    assert "\n" not in str(refused.value)


def test_what_asks_for_no_gradient_is_neither_pruned_nor_trained():
    network = modules.described(lambda: Around(fixed=True), "fixed", IMAGES)
    assert set(kernels(network)) == {"linear.weight"}
    begun = job(network)
    (weights,) = trained(begun, "reference").weights()
    for name in ("fixed.weight", "fixed.bias"):
        assert begun.start[name].any()
        np.testing.assert_array_equal(weights[name], begun.start[name])
    assert not np.array_equal(weights["linear.weight"], begun.start["linear.weight"])


def test_a_parametrized_weight_is_no_parameter():
    def made():
        normed = nn.utils.parametrizations.weight_norm(nn.Linear(36, 8))
        return nn.Sequential(nn.Flatten(), normed, nn.Linear(8, 3))

    network = modules.described(made, "normed", IMAGES)
    assert set(kernels(network)) == {"2.weight"}
    trained(job(network), "reference")


def test_the_same_seed_draws_the_same_weights_and_leaves_torch_alone():
    network = modules.described(convolutional, "conv", IMAGES)
    before = torch.random.get_rng_state()
    one, two, other = (
        initial_weights(network, "module", seeding.generator(seed, "init"))
        for seed in (0, 0, 1)
    )
    assert torch.equal(before, torch.random.get_rng_state())
    assert all(np.array_equal(one[name], two[name]) for name in one)
    assert not np.array_equal(one["0.weight"], other["0.weight"])
    assert one["1.num_batches_tracked"].dtype == np.float32
    drawn = initial_weights(network, "kaiming-normal", seeding.generator(0, "init"))
    assert not drawn["4.bias"].any()


def test_layers_and_the_same_module_give_the_same_results():
    layers = build("mlp", widths=(5,), data=IMAGES)
    module = modules.described(fully_connected, "mlp", IMAGES)
    assert {n: t.shape for n, t in parameters(layers).items()} == {
        n: t.shape for n, t in parameters(module).items()
    }
    assert {n: t.kind for n, t in kernels(layers).items()} == {
        n: t.kind for n, t in kernels(module).items()
    }
    drawn = [
        initial_weights(each, "kaiming-normal", seeding.generator(0, "init"))
        for each in (layers, module)
    ]
    assert [*drawn[0]] == [*drawn[1]]
    for name, weight in drawn[0].items():
        np.testing.assert_array_equal(weight, drawn[1][name])
    one = job(layers)
    two = replace(one, network=module)
    found = [trained(each, "reference") for each in (one, two)]
    for name, weight in found[0].weights()[0].items():
        np.testing.assert_array_equal(weight, found[1].weights()[0][name])
    assert found[0].evaluate("test") == found[1].evaluate("test")


def test_pruned_weights_stay_0_and_statistics_move():
    one = job(modules.described(convolutional, "conv", IMAGES))
    (weights,) = trained(one, "reference").weights()
    for name, kept in one.mask.items():
        assert not weights[name][~kept].any()
        assert (weights[name] != one.start[name])[kept].mean() > 0.9
    assert weights["1.num_batches_tracked"] == 6
    assert (weights["1.running_mean"] != 0).all()


@pytest.mark.parametrize("engine", ["reference", "batched"])
def test_a_module_gets_its_buffers_in_their_own_types(engine):
    networks = [
        modules.described(lambda dtype=dtype: Masked(causal(dtype)), f"{dtype}", TOKENS)
        for dtype in (torch.bool, torch.float32)
    ]
    assert parameters(networks[0])["mask"].role == "count"
    one, two = (trained(job(network, TOKENS), engine).weights()[0] for network in networks)
    assert one["mask"].tolist() == causal().float().tolist()
    assert two["mask"].tolist() == causal(torch.float32).tolist()
    assert one["seen"] == two["seen"] == 6
    np.testing.assert_allclose(one["embedding.weight"], two["embedding.weight"], atol=1e-5)


def test_a_mask_of_minus_infinity_is_no_divergence():
    network = modules.described(lambda: Masked(causal(torch.float32)), "inf", TOKENS)
    one = job(network, TOKENS, steps=2)
    (result,) = train([one], make_engine("reference", [one]))
    assert not result.diverged
    assert not is_finite(result.weights | {"mean": np.float32([np.inf] * 7)}, one.start)


@pytest.mark.parametrize("engine", ["reference", "batched"])
def test_buffers_that_are_replaced_are_those_that_change_in_place(engine):
    found = []
    for replaces in (False, True):
        network = modules.described(
            lambda replaces=replaces: Masked(causal(), replaces=replaces),
            f"{replaces}",
            TOKENS,
        )
        found.append(trained(job(network, TOKENS), engine).weights()[0])
    assert found[0]["mean"].all()
    for name, weight in found[0].items():
        np.testing.assert_array_equal(weight, found[1][name])


def test_statistics_and_dropout_are_no_state_that_is_refused():
    def made():
        return nn.Sequential(nn.Dropout(), convolutional(), nn.BatchNorm1d(3))

    assert modules.described(made, "both", IMAGES).draws


def test_what_evaluation_does_to_buffers_is_forgotten():
    class Counting(Around):
        def __init__(self):
            super().__init__()
            self.register_buffer("calls", torch.zeros(()))

        def forward(self, images):
            self.calls.add_(1)
            return super().forward(images)

    one = trained(job(modules.described(Counting, "counting", IMAGES)), "reference")
    one.evaluate("test")
    assert one.weights()[0]["calls"] == 6


@pytest.mark.parametrize("dropout", [0.0, 0.5])
def test_a_training_goes_on_bit_for_bit(dropout):
    network = modules.described(lambda: Sequence(dropout=dropout), f"d{dropout}", TOKENS)
    assert network.draws == (dropout > 0)
    one = job(network, TOKENS, optimizer="adam")
    whole = trained(one, "reference", steps=(1, 5))
    half = trained(one, "reference", steps=(3,))
    torch.rand(3)  # whatever others draw changes nothing
    rest = make_engine("reference", [one])
    rest.restore(half.state(), 3)
    rest.advance(3)
    for name, weight in whole.weights()[0].items():
        np.testing.assert_array_equal(weight, rest.weights()[0][name])


def test_stacked_modules_agree_with_the_reference():
    one = job(modules.described(convolutional, "conv", IMAGES), density=0.7, lr=0.05)
    two = replace(one, seed=1)
    batched = make_engine("batched", [one, two])
    batched.advance(6)
    for lane, each in enumerate((one, two)):
        (expected,) = trained(each, "reference").weights()
        for name, weight in expected.items():
            np.testing.assert_allclose(batched.weights()[lane][name], weight, atol=1e-5)


def test_only_engines_that_can_get_a_module():
    conv = modules.described(convolutional, "conv", IMAGES)
    assert resolve("auto", conv, 0.1, "cpu") == "reference"
    assert resolve("batched", conv, 0.1, "cpu") == "batched"
    drawing = modules.described(lambda: Sequence(dropout=0.5), "drawing", TOKENS)
    for engine in ("dense", "sparse", "sparse-conv", "batched"):
        with pytest.raises(ValueError, match=f"engine {engine} cannot train this network"):
            resolve(engine, drawing, 1.0, "cpu")


def test_equal_origins_are_equal_networks():
    one, two = (modules.described(convolutional, "conv", IMAGES) for _ in range(2))
    assert isinstance(one, Module)
    assert one == two
    assert repr(one) == repr(two)
