"""Import torch, with one thread."""

import torch

from pipeline.run.executors.preloads import quick_end as quick_end

torch.set_num_threads(1)
