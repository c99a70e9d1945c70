"""README's lines retrain a ticket in plain torch, and its pruned weights stay pruned."""

import re
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers.workspace import ROOT
from torch import nn

from pipeline import load_ticket
from pipeline.artifacts import files
from pipeline.artifacts.files import ArtifactError


def model() -> nn.Module:
    return _named({"fc1": nn.Linear(6, 4), "relu": nn.ReLU(), "fc2": nn.Linear(4, 3)})


def _named(layers: dict[str, nn.Module]) -> nn.Module:
    whole = nn.Sequential()
    for name, layer in layers.items():
        whole.add_module(name, layer)
    return whole


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return write(tmp_path / "ticket.safetensors")


def write(file: Path, *, frozen: float = 0.0) -> Path:
    rng = np.random.default_rng(0)
    arrays = {}
    for name, shape in {"fc1": (4, 6), "fc2": (3, 4)}.items():
        kept = rng.random(shape) < 0.5
        weights = rng.standard_normal(shape).astype(np.float32)
        arrays[f"{name}.weight"] = np.where(kept, weights, np.float32(frozen))
        arrays[f"{name}.bias"] = np.zeros(shape[0], np.float32)
        arrays[f"mask.{name}.weight"] = kept
    files.save_arrays(file, arrays, density=0.5)
    return file


def train(network: nn.Module, optimizer: torch.optim.Optimizer, steps: int = 5) -> float:
    rng = np.random.default_rng(1)
    images = torch.tensor(rng.standard_normal((32, 6)), dtype=torch.float32)
    labels = torch.tensor(rng.integers(0, 3, 32))
    for _ in range(steps):
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(network(images), labels)
        loss.backward()
        optimizer.step()
    return float(loss.detach())


def snippet() -> str:
    """The lines of README that load and hold a ticket."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```python\n(.*?)```", text, re.S)
    (found,) = [block for block in blocks if "load_ticket(" in block]
    return str(found)


@pytest.mark.parametrize("kind", ["sgd", "adam"])
def test_the_lines_of_the_readme_retrain_a_ticket(
    kind: str, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(path.parent)
    network = model()
    names = {"model": network}
    exec(snippet(), names)
    ticket = load_ticket(path)
    options = {
        "sgd": lambda p: torch.optim.SGD(p, 0.5, momentum=0.9, weight_decay=0.1),
        "adam": lambda p: torch.optim.AdamW(p, 0.1, weight_decay=0.1),
    }
    optimizer = options[kind](network.parameters())
    first = train(network, optimizer, 1)
    assert train(network, optimizer, 20) < first
    for name, kept in ticket.mask.items():
        found = dict(network.named_modules())[name.removesuffix(".weight")].weight
        assert bool((found[~kept] == 0).all())
        assert not torch.equal(found[kept], ticket.weights[name][kept])


def test_a_first_step_is_that_of_a_masked_gradient(path: Path) -> None:
    weights, mask, hold = load_ticket(path)
    held, plain = model(), model()
    for network in (held, plain):
        network.load_state_dict(weights)
    hold(held)
    train(held, torch.optim.SGD(held.parameters(), 0.1), 1)
    train(plain, torch.optim.SGD(plain.parameters(), 0.1), 1)
    for name, kept in mask.items():
        layer = name.removesuffix(".weight")
        found, wanted = held.get_submodule(layer).weight, plain.get_submodule(layer).weight
        assert torch.equal(found[kept], wanted[kept])


def test_frozen_weights_stay_at_their_values(tmp_path: Path) -> None:
    weights, mask, hold = load_ticket(write(tmp_path / "f.safetensors", frozen=0.25))
    network = model()
    network.load_state_dict(weights)
    hold(network)
    train(network, torch.optim.SGD(network.parameters(), 0.5, weight_decay=0.1))
    assert bool((network.get_submodule("fc1").weight[~mask["fc1.weight"]] == 0.25).all())


def test_a_module_that_does_not_fit_is_refused_as_it_was(path: Path) -> None:
    hold = load_ticket(path).hold
    other = _named({"fc1": nn.Linear(6, 4), "head": nn.Linear(4, 3)})
    with pytest.raises(
        ValueError, match=r"no parameter fc2.weight; it has fc1.weight, fc1"
    ):
        hold(other)
    assert set(other.state_dict()) == {"fc1.weight", "fc1.bias", "head.weight", "head.bias"}
    with pytest.raises(ValueError, match=r"shape \(4, 5\); the ticket's has \(4, 6\)"):
        hold(_named({"fc1": nn.Linear(5, 4), "fc2": nn.Linear(4, 3)}))


def test_a_layer_may_be_called_mask(tmp_path: Path) -> None:
    kept = np.array([[True, False]])
    arrays = {"mask.weight": np.ones((1, 2), np.float32), "mask.mask.weight": kept}
    files.save_arrays(tmp_path / "t.safetensors", arrays)
    weights, mask, _ = load_ticket(tmp_path / "t.safetensors")
    assert list(weights) == list(mask) == ["mask.weight"]
    assert mask["mask.weight"].tolist() == kept.tolist()


def test_a_file_that_is_no_ticket_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match="cannot be read"):
        load_ticket(tmp_path / "missing.safetensors")
    (tmp_path / "text.safetensors").write_text("no ticket")
    with pytest.raises(ArtifactError, match="cannot be read"):
        load_ticket(tmp_path / "text.safetensors")
    files.save_arrays(tmp_path / "plain.safetensors", {"a": np.zeros(2, np.float32)})
    with pytest.raises(ArtifactError, match="holds no mask"):
        load_ticket(tmp_path / "plain.safetensors")
