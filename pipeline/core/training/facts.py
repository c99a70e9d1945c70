"""The records of one training in result files: its facts and its learning curves."""

from math import prod
from typing import Any

import numpy as np

from pipeline.core import masks
from pipeline.core.arrays import Mask
from pipeline.core.digests import digest
from pipeline.core.models.layers import kernels
from pipeline.core.models.totals import positions
from pipeline.core.training.engine import Job
from pipeline.core.training.results import FITTED, Trained, first_step_at


def facts(job: Job, trained: Trained, test_accuracy: float) -> dict[str, Any]:
    """The entry of one network in a result file.

    Args:
        job: the training that was asked for.
        trained: its result.
        test_accuracy: test accuracy by the task's metric, a fraction.
    """
    found = {
        "density": masks.density(trained.mask),
        "kept": masks.kept(trained.mask),
        "collapsed": masks.collapsed(masks.connected(trained.weights, trained.mask)),
        "steps": trained.end.step,
        "early_stop_step": trained.early_stop.step,
        "censored": trained.censored,
        "validation_loss": trained.early_stop.validation.loss,
        "validation_accuracy": trained.early_stop.validation.accuracy,
        "test_accuracy_early_stop": trained.early_stop.test.accuracy,
        "test_accuracy": test_accuracy,
        "test_loss": trained.end.test.loss,
        "diverged": trained.diverged,
        "start": digest(job.start),
        "mask": digest(trained.mask),
        "trained": digest(trained.weights),
    }
    if "train" in trained.curves:
        found |= _delay(trained)
    parts = _parts(job, trained.mask)
    if parts:
        found["kept_parts"] = parts
    if trained.kept_steps is not None:
        found["kept_steps"] = trained.kept_steps
    if job.rule is not None and job.rule.looks_at_gradients:
        looks = job.rule.steps(job.first_step, job.end_step)
        found["gradient_looks"] = sum(
            job.first_step < at <= trained.end.step for at in looks
        )
    if trained.scores is not None:
        found["scores"] = digest(trained.scores)
    if trained.measures:
        found["measures"] = {
            name: {"step": one.step.tolist(), "value": one.value.tolist()}
            for name, one in trained.measures.items()
        }
    return found


def _parts(job: Job, mask: Mask) -> dict[str, list[int]]:
    """The weights kept in each of the matrices that are packed into one, such as gates."""
    packed = {n: t.parts for n, t in kernels(job.network).items() if t.parts > 1}
    return {
        name: mask[name].reshape(parts, -1).sum(1).tolist()
        for name, parts in packed.items()
        if name in mask
    }


def _delay(trained: Trained) -> dict[str, Any]:
    """The steps at which training and validation set are solved, and their ratio.

    A set that is not solved in the training is censored: its step is None, and so is the
    ratio. The source takes 95 % and the test set (Minegishi et al. 2023,
    arXiv:2310.19470); this takes the validation set, on which every evaluation looks. A
    network that has solved the training set at step 0 counts as one at step 1.
    """
    fitted, general = (
        first_step_at(trained.curves[split], FITTED) for split in ("train", "validation")
    )
    delay = None
    if fitted is not None and general is not None:
        delay = max(general, 1) / max(fitted, 1)
    return {"fitted_step": fitted, "generalized_step": general, "delay": delay}


def cost_facts(job: Job) -> dict[str, Any]:
    """What the cost of a training is counted from: positions and weights per kernel."""
    found = kernels(job.network)
    return {
        "positions": positions(job.network, job.data.description),
        "sizes": {name: prod(tensor.shape) for name, tensor in found.items()},
    }


def curve_rows(seed: int, trained: Trained) -> dict[str, Any]:
    """All curves as columns, in order of the step; validation first, and test last."""
    order = ("validation", "train", "test")
    rows = sorted(
        (int(step), order.index(split), split, float(loss), float(accuracy))
        for split, curve in trained.curves.items()
        for step, loss, accuracy in zip(curve.step, curve.loss, curve.accuracy, strict=True)
    )
    return {
        "seed": np.full(len(rows), seed, np.int64),
        "step": [row[0] for row in rows],
        "split": [row[2] for row in rows],
        "loss": [row[3] for row in rows],
        "accuracy": [row[4] for row in rows],
    }
