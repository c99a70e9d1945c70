"""Gradients of one batch with respect to every weight, those of pruned ones too.

The engine computes kept weights only; it uses this at the few steps at which a mask
changes.
"""

import numpy as np
import torch

from pipeline.core.arrays import Weights
from pipeline.core.augmentations.flip_crop import flip_crop, flip_crop_draws
from pipeline.core.batches import prepared
from pipeline.core.losses import mean_loss
from pipeline.core.models.forward import forward
from pipeline.core.training.engine import Job


def every_gradient(job: Job, weights: Weights, step: int) -> Weights:
    """The gradients of the batch that is trained on after so many steps, on a CPU.

    Args:
        job: whose data, order and augmentation; its mask says which tensors.
        weights: all tensors of the network; left unchanged.
        step: number of updates so far.
    """
    examples = job.batch_order().indices(step, 1)[0]
    train = job.data.train
    inputs = prepared(train.inputs[examples], job.data.description.inputs)
    if job.settings.augment == "flip-crop":
        flips, corners = flip_crop_draws(
            len(inputs), seed=job.seed, round=job.round, copy=job.copy, step=step
        )
        images = np.asarray(inputs, np.float32)
        inputs = flip_crop(images, flips=flips, corners=corners)
    leaves = {name: torch.tensor(values) for name, values in weights.items()}
    asked = [leaves[name].requires_grad_() for name in job.mask]
    logits = forward(job.network, leaves, torch.from_numpy(inputs), training=True)
    labels = torch.from_numpy(train.labels[examples])
    loss = mean_loss(logits, labels, job.data.description)
    found = torch.autograd.grad(loss, asked)
    return {
        name: np.asarray(gradient.numpy(), np.float32)
        for name, gradient in zip(job.mask, found, strict=True)
    }
