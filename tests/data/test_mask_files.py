"""Masks of the user's are read in three forms, and checked against the network by name."""

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn
from torch.nn.utils import prune

from pipeline.core.description import Classes, Description, Vectors
from pipeline.core.models.layers import Flatten, Linear, ReLU
from pipeline.core.models.modules import described
from pipeline.data.mask_files import MaskFileError, read

NETWORK = (
    Flatten(),
    Linear(name="fc1", inputs=6, outputs=4),
    ReLU(),
    Linear(name="fc2", inputs=4, outputs=3, kind="output"),
)
RNG = np.random.default_rng(0)
FC1 = RNG.random((4, 6)) < 0.5
FC2 = RNG.random((3, 4)) < 0.5


def problem(folder: Path, **arrays: np.ndarray) -> str:
    np.savez(folder / "mask.npz", **arrays)
    with pytest.raises(MaskFileError) as caught:
        read("mask.npz", NETWORK, folder)
    return str(caught.value)


def test_plain_boolean_arrays_are_a_mask(tmp_path: Path) -> None:
    np.savez(tmp_path / "mask.npz", **{"fc2.weight": FC2, "fc1.weight": FC1})
    found = read("mask.npz", NETWORK, tmp_path)
    assert list(found) == ["fc1.weight", "fc2.weight"]
    assert np.array_equal(found["fc1.weight"], FC1)


def test_a_tensor_that_is_not_named_is_not_masked(tmp_path: Path) -> None:
    np.savez(tmp_path / "mask.npz", **{"fc1.weight": FC1})
    assert list(read("mask.npz", NETWORK, tmp_path)) == ["fc1.weight"]


def test_what_export_writes_is_read(tmp_path: Path) -> None:
    ticket = {"fc1.weight": torch.randn(4, 6), "fc1.bias": torch.zeros(4)}
    save_file(ticket | {"mask.fc1.weight": torch.tensor(FC1)}, tmp_path / "t.safetensors")
    found = read("t.safetensors", NETWORK, tmp_path)
    assert list(found) == ["fc1.weight"]
    assert np.array_equal(found["fc1.weight"], FC1)


def test_a_state_dict_under_torchs_pruning_is_read(tmp_path: Path) -> None:
    module = nn.Sequential()
    module.add_module("fc1", nn.Linear(6, 4))
    module.add_module("fc2", nn.Linear(4, 3))
    prune.random_unstructured(module.fc1, "weight", 0.5)
    save_file(module.state_dict(), tmp_path / "pruned.safetensors")
    found = read("pruned.safetensors", NETWORK, tmp_path)
    assert list(found) == ["fc1.weight"]
    assert np.array_equal(found["fc1.weight"], module.fc1.weight_mask.numpy() == 1)


def test_masks_of_a_tied_tensor_are_one(tmp_path: Path) -> None:
    def tied() -> nn.Module:
        first, second = nn.Linear(4, 4), nn.Linear(4, 4)
        second.weight = first.weight
        return nn.Sequential(first, second, nn.Linear(4, 3))

    vectors = Description(inputs=Vectors(num_values=4), labels=Classes(number=3))
    network = described(tied, "tied", vectors)
    kept = np.eye(4, dtype=np.bool_)
    np.savez(tmp_path / "mask.npz", **{"0.weight": kept, "1.weight": kept})
    assert list(read("mask.npz", network, tmp_path)) == ["0.weight"]
    np.savez(tmp_path / "mask.npz", **{"0.weight": kept, "1.weight": ~kept})
    with pytest.raises(MaskFileError, match=r"1\.weight and 0\.weight are one tensor"):
        read("mask.npz", network, tmp_path)


def test_masks_of_torchs_pruning_may_stand_alone(tmp_path: Path) -> None:
    np.savez(tmp_path / "mask.npz", **{"fc1.weight_mask": FC1})
    assert list(read("mask.npz", NETWORK, tmp_path)) == ["fc1.weight"]


@pytest.mark.parametrize("ending", ["_orig", ""], ids=["state-dict", "ticket"])
def test_what_is_called_like_a_mask_and_masks_nothing_is_passed_over(
    tmp_path: Path, ending: str
) -> None:
    network = (Flatten(), Linear(name="mask.fc", inputs=6, outputs=4))
    mask = "mask.fc.weight_mask" if ending else "mask.mask.fc.weight"
    arrays = {f"mask.fc.weight{ending}": np.ones((4, 6)), mask: FC1}
    arrays |= {"mask.fc.bias": np.ones(4) / 2, "causal_mask": np.full(3, -np.inf)}
    np.savez(tmp_path / "mask.npz", **arrays)
    found = read("mask.npz", network, tmp_path)
    assert list(found) == ["mask.fc.weight"]
    assert np.array_equal(found["mask.fc.weight"], FC1)


@pytest.mark.parametrize(
    ("name", "array", "said"),
    [
        ("fc3.weight", FC1, "it masks fc3.weight, which the network does not have; did y"),
        ("fc1.bias", FC1[:, 0], "it masks fc1.bias, which is never pruned; leave it out"),
        ("fc1.weight", FC1.T, "the mask of fc1.weight is [6, 4], the network's tensor [4"),
        ("fc1.weight", FC1.astype(np.float32), "fc1.weight is float32; give masks as bo"),
        ("fc1.weight_mask", FC1 * 0.5, "fc1.weight_mask has values other than 0 and 1"),
        ("fc1.weight", np.zeros((4, 6), bool), "it keeps no weight"),
        ("fc1.weight", np.array([None, FC1], object), "it cannot be read as npz: Object a"),
    ],
)
def test_no_mask_of_the_network_is_one_line(
    tmp_path: Path, name: str, array: np.ndarray, said: str
) -> None:
    found = problem(tmp_path, **{name: array})
    assert found.startswith(f"mask.npz: {said}")
    assert "\n" not in found


def test_no_file_and_a_damaged_file_are_one_line(tmp_path: Path) -> None:
    with pytest.raises(MaskFileError, match=r"^m\.npz: there is no such file; paths beg"):
        read("m.npz", NETWORK, tmp_path)
    (tmp_path / "m.safetensors").write_bytes(b"damaged")
    with pytest.raises(MaskFileError, match=r"^m\.safetensors: it cannot be read as safe"):
        read("m.safetensors", NETWORK, tmp_path)
