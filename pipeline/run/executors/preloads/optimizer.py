"""Torch, and its first optimizer object."""

import torch

from pipeline.run.executors.preloads import tensors as tensors

torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.1)
