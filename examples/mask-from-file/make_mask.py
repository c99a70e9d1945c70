"""Train a small network in plain torch, prune it with torch, and save its state dict."""

import torch
from safetensors.torch import save_file
from sklearn.datasets import load_digits
from torch import nn
from torch.nn.utils import prune

STEPS, KEPT = 300, 0.1


def main() -> None:
    """A tenth of the weights stays, the largest of all layers together."""
    table = load_digits()
    inputs = torch.tensor(table.data, dtype=torch.float32) / 16
    labels = torch.tensor(table.target)
    module = nn.Sequential()
    module.add_module("fc1", nn.Linear(64, 64))
    module.add_module("relu", nn.ReLU())
    module.add_module("fc2", nn.Linear(64, 10))
    optimizer = torch.optim.Adam(module.parameters(), lr=0.01)
    for _ in range(STEPS):
        optimizer.zero_grad()
        nn.functional.cross_entropy(module(inputs), labels).backward()
        optimizer.step()
    pruned = [(module.fc1, "weight"), (module.fc2, "weight")]
    prune.global_unstructured(pruned, prune.L1Unstructured, amount=1 - KEPT)
    save_file(module.state_dict(), "mask.safetensors")


if __name__ == "__main__":
    main()
