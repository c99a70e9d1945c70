"""The records of one training in result files: its facts and its learning curves."""

from math import prod
from typing import Any

import numpy as np

from pipeline.core import masks
from pipeline.core.digests import digest
from pipeline.core.models.layers import kernels
from pipeline.core.models.totals import positions
from pipeline.core.training.engine import Job
from pipeline.core.training.results import Trained


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
    if trained.kept_steps is not None:
        found["kept_steps"] = trained.kept_steps
    if trained.scores is not None:
        found["scores"] = digest(trained.scores)
    return found


def cost_facts(job: Job) -> dict[str, Any]:
    """What the cost of a training is counted from: positions and weights per kernel."""
    found = kernels(job.network)
    return {
        "positions": positions(job.network, job.data.description),
        "sizes": {name: prod(tensor.shape) for name, tensor in found.items()},
    }


def curve_rows(seed: int, trained: Trained) -> dict[str, Any]:
    """The validation curve and then the test curve as columns, each in order of step."""
    rows = sorted(
        (int(step), split != "validation", split, float(loss), float(accuracy))
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
