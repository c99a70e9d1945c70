"""The reference engine trains one network in plain torch and defines the right results.

Data stay on the device as they were read. Each step gathers a batch, prepares it, and
makes one fused optimizer update. The code is deliberately simple; comments mark the
exceptions.
"""

import inspect
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from pipeline.border.user_code import CodeError
from pipeline.core import seeding
from pipeline.core.arrays import Mask, Weights
from pipeline.core.augmentations import AUGMENTATIONS, NO_AUGMENTATION
from pipeline.core.losses import loss_and_correct, mean_loss
from pipeline.core.models.forward import forward
from pipeline.core.models.layers import NORMS, Module, parameters
from pipeline.core.models.modules import seeded
from pipeline.core.optimizers import OPTIMIZERS
from pipeline.core.training.engine import Evaluation, Job, State, only_job
from pipeline.core.training.schedules import learning_rate
from pipeline.core.training.score_rules import Learned
from pipeline.core.training.settings import TrainSettings
from pipeline.engines.shared.examples import Examples

if TYPE_CHECKING:
    from pipeline.engines.reference.scored_weights import ScoredWeights


def make(jobs: Sequence[Job]) -> "Reference":
    """Make the reference engine, ready to begin one job.

    Raises:
        ValueError: if there is more than one job.
    """
    return Reference(only_job(jobs, "reference"))


class Reference:
    """One network, its optimizer, and its data.

    The optimizer begins afresh even at a late start: only schedule and data order
    continue, as in Frankle et al. 2019 (arXiv:1903.01611).
    """

    def __init__(self, job: Job) -> None:
        device = torch.device(job.settings.device)
        self._job = job
        self._step = job.first_step
        self._data = Examples(job.data, device)
        self._order = job.batch_order()
        self._weights = _leaves(job, device)
        self._scored = _scored(job, self._weights) if job.score_rule else None
        if self._scored:
            self._trained = self._scored.trained
        else:
            self._trained = {n: w for n, w in self._weights.items() if w.requires_grad}
        decay = 0.0 if self._decays_by_itself else job.settings.weight_decay
        self._optimizer = _optimizer(list(self._trained.values()), job.settings, decay)
        self._update_weights = _plain_step(self._optimizer)
        self._pruned = [
            (self._weights[name], bits)
            for name, bits in _kept_bits(job.mask, device).items()
        ]
        self._norms = _first_norms(job, self._weights)
        self._frozen = [
            (self._weights[name], torch.tensor(values.view(np.int32), device=device))
            for name, values in job.frozen.items()
        ]

    def advance(self, num_steps: int) -> None:
        """Run that many optimizer steps."""
        batches = self._order.indices(self._step, num_steps)
        with exact_convolutions():
            for examples in batches:
                self._update(torch.from_numpy(examples))
                self._step += 1

    def evaluate(self, split: str) -> list[Evaluation]:
        """Loss and accuracy on ``train``, ``validation`` or ``test``."""
        self._act()
        loss, correct = 0.0, 0
        with torch.no_grad(), exact_convolutions():
            for inputs, labels in self._shown(split):
                logits = forward(self._job.network, self._weights, inputs, training=False)
                found = loss_and_correct(logits, labels, self._job.data.description)
                loss, correct = loss + found[0], correct + found[1]
        loss, correct = self._total(loss, correct)
        num = self._data.num_labels(split)
        return [Evaluation(loss=loss / num, accuracy=correct / num)]

    def weights(self) -> list[Weights]:
        """Copies of the current weights."""
        self._act()
        return [{name: _array(weight) for name, weight in self._weights.items()}]

    def state(self) -> State:
        """Weights and the optimizer's own tensors."""
        state: State = {f"weight/{n}": _array(w) for n, w in self._weights.items()}
        if self._scored:
            state |= self._scored.state()
        for name, weight in self._trained.items():
            for key, value in self._optimizer.state[weight].items():
                if value is not None:  # SGD without momentum
                    state[f"{key}/{name}"] = _array(value)
        return state

    def restore(self, state: State, step: int) -> None:
        """Continue after ``step`` steps, counted from initialization."""
        self._step = step
        self._optimizer.state.clear()
        device = next(iter(self._weights.values())).device
        for path, array in state.items():
            key, name = path.split("/", maxsplit=1)
            if key == "weight":
                with torch.no_grad():
                    self._weights[name].copy_(torch.tensor(array))
            elif not (self._scored and self._scored.restored(key, name, array)):
                value = torch.tensor(array, device=device)
                self._optimizer.state[self._trained[name]][key] = value

    def learned(self) -> list[Learned]:
        """The scores, and what they made of the steps so far."""
        assert self._scored, "this job has no scores"
        return [self._scored.learned()]

    def restrict(self, masks: Sequence[Mask]) -> None:
        """Go on under another mask; weights that come back are 0, as they were."""
        (mask,) = masks
        device = next(iter(self._weights.values())).device
        kept_bits = _kept_bits(mask, device)
        self._pruned = [(self._weights[name], bits) for name, bits in kept_bits.items()]
        for weight, bits in self._pruned:
            _mask(weight, bits)
            for value in self._optimizer.state[weight].values():
                if value is not None and value.shape == weight.shape:  # no step count
                    _mask(value, bits)

    def gradients(self) -> list[Weights]:
        """The gradients of the next batch with respect to all weights of masked tensors."""
        found = self._next_gradients(self._job.mask)
        return [{name: _array(found[name]) for name in self._job.mask}]

    def _next_gradients(self, names: Collection[str]) -> dict[str, Tensor]:
        """The next batch's gradients, of the named weights on which its loss depends."""
        (examples,) = self._order.indices(self._step, 1)
        inputs, labels = self._batch(torch.from_numpy(examples))
        weights = {
            name: weight if weight.requires_grad else weight.clone()
            for name, weight in self._acting().items()
        }  # the forward pass writes running statistics
        with exact_convolutions(), chance(self._job, self._step):
            logits = forward(self._job.network, weights, inputs, training=True)
            precision = self._job.settings.loss_precision
            loss = mean_loss(logits, labels, self._job.data.description, precision)
            found: Sequence[Tensor | None] = torch.autograd.grad(
                loss, [weights[name] for name in names], allow_unused=True
            )
        return {n: g for n, g in zip(names, found, strict=True) if g is not None}

    def _shown(self, split: str) -> Iterator[tuple[Tensor, Tensor]]:
        """The batches of a split that this engine evaluates."""
        return self._data.in_order(split)

    def _total(self, loss: float, correct: int) -> tuple[float, int]:
        """The sums over all batches, from those over these."""
        return loss, correct

    def _batch(self, examples: Tensor) -> tuple[Tensor, Tensor]:
        """Inputs and labels of a batch, as this step trains on them."""
        inputs, labels = self._data.batch(examples)
        if self._job.settings.augment != NO_AUGMENTATION:
            inputs = _augmented(inputs, self._job, self._step)
        return inputs, labels

    @property
    def _decays_by_itself(self) -> bool:
        rule = self._job.score_rule
        return rule is not None and rule.decays_by_itself

    def _acting(self) -> dict[str, Tensor]:
        """The weights with which this step trains: norms may be mixed with first values."""
        if not self._norms:
            return self._weights
        share = self._job.norm_share(self._step)
        mixed = {
            name: share * first + (1 - share) * self._weights[name]
            for name, first in self._norms.items()
        }
        return self._weights | mixed

    def _act(self) -> None:
        """Make the weights that the scores of this step stand for."""
        if self._scored:
            self._scored.act(self._step)

    def _update(self, examples: Tensor) -> None:
        job = self._job
        inputs, labels = self._batch(examples)
        self._act()
        for weight in self._trained.values():
            weight.grad = None
        self._backward(inputs, labels)
        for weight, bits in self._pruned:
            if weight.grad is not None:
                _mask(weight.grad, bits)  # nor do momentum and Adam state learn of it
        rate = learning_rate(job.settings, self._step, job.total_steps)
        if self._scored:
            share = rate / job.settings.lr if self._decays_by_itself else 0.0
            self._scored.pull(decay=share * job.settings.weight_decay)
        for group in self._optimizer.param_groups:
            group["lr"] = rate
        self._update_weights()
        for weight, bits in self._pruned:
            _mask(weight, bits)
        for weight, bits in self._frozen:
            weight.detach().view(torch.int32).bitwise_or_(bits)

    def _backward(self, inputs: Tensor, labels: Tensor) -> None:
        """Leave the gradients of a batch's mean loss."""
        with chance(self._job, self._step):
            logits = forward(self._job.network, self._acting(), inputs, training=True)
        precision = self._job.settings.loss_precision
        mean_loss(logits, labels, self._job.data.description, precision).backward()


def _scored(job: Job, weights: dict[str, Tensor]) -> "ScoredWeights":
    """The scores of a job; Numba is imported only where there are some."""
    from pipeline.engines.reference.scored_weights import ScoredWeights

    return ScoredWeights(job, weights)


def _leaves(job: Job, device: torch.device) -> dict[str, Tensor]:
    """The weights in memory that torch allocates, whose alignment decides the last bits."""
    return {
        name: _leaf(torch.tensor(job.start[name], device=device), parameter.trainable)
        for name, parameter in parameters(job.network).items()
    }


def _first_norms(job: Job, weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """Scales of 1 and shifts of 0, where a job mixes norms with these; else nothing."""
    roles = {name: tensor.role for name, tensor in parameters(job.network).items()}
    return {
        name: torch.full_like(weights[name], NORMS[role], requires_grad=False)
        for name, role in roles.items()
        if job.settings.mix_norms and role in NORMS
    }


def _leaf(values: Tensor, trainable: bool) -> Tensor:  # noqa: FBT001
    return nn.Parameter(values) if trainable else values


def _optimizer(
    weights: list[Tensor], settings: TrainSettings, decay: float
) -> torch.optim.Optimizer:
    """A fresh optimizer; the learning rate is set before every update."""
    # torch imports its compiler for a method that it must not compile, unless it finds the
    # method to call instead: 1.3 s that no training here needs.
    add = inspect.unwrap(torch.optim.Optimizer.add_param_group)
    add.__dynamo_disable = add  # as torch itself sets it
    lr, betas = settings.lr, settings.adam_betas
    match settings.optimizer:
        case "sgd":
            return torch.optim.SGD(
                weights, lr, settings.momentum, weight_decay=decay, fused=True
            )
        case "adam":
            return torch.optim.Adam(weights, lr, betas, weight_decay=decay, fused=True)
        case "adamw":
            return torch.optim.AdamW(weights, lr, betas, weight_decay=decay, fused=True)
        case own:
            made: object = OPTIMIZERS.load(own)(weights, settings)
            if not isinstance(made, torch.optim.Optimizer):
                found = type(made).__name__
                raise CodeError(f"{own} returns {found}; return a torch.optim.Optimizer")
            return made


def _plain_step(optimizer: torch.optim.Optimizer) -> Callable[[], object]:
    """The optimizer's own update, without torch's wrapper, which imports its compiler."""
    step = torch.no_grad()(inspect.unwrap(type(optimizer).step))
    return lambda: step(optimizer)


def _kept_bits(mask: Mask, device: torch.device) -> dict[str, Tensor]:
    """All bits set where a weight is kept, for each tensor that has a pruned weight."""
    return {
        name: torch.tensor(np.where(kept, np.int32(-1), np.int32(0)), device=device)
        for name, kept in mask.items()
        if not kept.all()
    }


def _mask(values: Tensor, kept_bits: Tensor) -> None:
    """Set pruned values to exactly 0, whatever they were.

    The bits are masked: a product with 0 would keep NaN and signs, and masked_fill_ takes
    14 times as long (240 µs for 300 × 784 on one core of a Zen 4, torch 2.13).
    """
    values.detach().view(torch.int32).bitwise_and_(kept_bits)


def _augmented(images: Tensor, job: Job, step: int) -> Tensor:
    """The batch after the changes that are drawn for this step."""
    augment = AUGMENTATIONS.load(job.settings.augment)
    changed: Tensor = augment(
        images, seed=job.seed, round=job.round, copy=job.copy, step=step
    )
    return changed


def chance(job: Job, step: int, part: int = 0) -> AbstractContextManager[None]:
    """The random numbers of a step's forward pass, for networks that draw (dropout).

    Args:
        job: the training.
        step: its step.
        part: which part of the batch passes, where processes share it.
    """
    if not (isinstance(job.network, Module) and job.network.draws):
        return nullcontext()
    place = f"{job.copy}/step={step}" + (f"/part={part}" if part else "")
    rng = seeding.generator(job.seed, "dropout", round=job.round, copy=place)
    return seeded(int(rng.integers(2**63)))


def exact_convolutions() -> AbstractContextManager[None]:
    """On GPUs: algorithms that give the same bits twice, in full float32."""
    return torch.backends.cudnn.flags(
        enabled=True, benchmark=False, deterministic=True, allow_tf32=False
    )


def _array(tensor: Tensor | float) -> NDArray[np.float32]:
    """A copy as a numpy array; optimizers may hold a plain number, such as their step."""
    values = torch.as_tensor(tensor).detach().cpu().numpy()
    array: NDArray[np.float32] = values.copy()
    return array
