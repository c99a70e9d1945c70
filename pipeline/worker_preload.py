"""Imported by the server that workers are forked from: what costs seconds, once.

``import torch`` takes over a second, the first optimizer object another one.
"""

import torch

torch.set_num_threads(1)
torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.1)
