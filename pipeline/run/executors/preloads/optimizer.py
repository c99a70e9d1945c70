"""Import torch and make its first optimizer object, which takes a second."""

import torch

from pipeline.run.executors.preloads import tensors as tensors

torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.1)
