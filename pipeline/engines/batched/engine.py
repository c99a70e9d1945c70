"""The batched engine: several networks of one shape as one stacked computation.

One pass through ``forward.py`` under vmap computes all lanes: linear layers become
batched products, convolutions become grouped convolutions. Lanes never mix: if one
diverges, the bits of the others stay the same. On CUDA, the whole step is one graph, which
is captured once and replayed.

Legend: S lanes, B examples per batch, K classes, N examples of a split.
"""

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from numpy.typing import NDArray
from torch import Tensor
from torch.func import vmap

from pipeline.core.arrays import Weights
from pipeline.core.batches import Dataset
from pipeline.core.losses import in_precision, scored
from pipeline.core.models.forward import forward
from pipeline.core.models.layers import parameters
from pipeline.core.training.engine import Evaluation, Job, State, refuse_frozen
from pipeline.engines.batched.inputs import STRETCH, Inputs, moved
from pipeline.engines.shared.examples import SPLITS, Examples
from pipeline.engines.shared.updates import Fused

WARM_UP_STEPS = 3
"""steps before a capture, so that libraries have allocated the memory they need"""


def make(jobs: Sequence[Job]) -> "Batched":
    """Make the batched engine, ready to begin these jobs.

    Raises:
        ValueError: if there are no jobs, if they differ in more than start, mask, seed,
            round, and copy, or if pruned weights are frozen at other values than 0.
    """
    if not jobs:
        raise ValueError("the batched engine got no job; give it one or more")
    refuse_frozen(jobs, "batched")
    first = jobs[0]
    for job in jobs[1:]:
        alike = (
            job.network == first.network
            and (job.settings, job.first_step) == (first.settings, first.first_step)
            and _same(job.data, first.data)
        )
        if not alike:
            raise ValueError(
                "the jobs of a batched engine differ in network, settings, data, or "
                "first step; give each kind an engine of its own"
            )
    return Batched(jobs)


class Batched:
    """Stacked weights, one optimizer over them, and the data they share."""

    def __init__(self, jobs: Sequence[Job]) -> None:
        self._jobs = jobs
        self._network, self._settings = jobs[0].network, jobs[0].settings
        self._step = jobs[0].first_step
        device = torch.device(self._settings.device)
        self._data = Examples(jobs[0].data, device)
        self._description = jobs[0].data.description
        self._inputs = Inputs(jobs, device)
        self._weights = {
            name: torch.tensor(np.stack([job.start[name] for job in jobs]), device=device)
            for name in parameters(self._network)
        }
        self._trained = {
            name: self._weights[name].requires_grad_()
            for name, parameter in parameters(self._network).items()
            if parameter.trainable
        }
        self._optimizer = Fused(
            {name: weight.detach() for name, weight in self._trained.items()},
            self._settings,
        )
        self._pruned = [
            (self._weights[name].detach().view(torch.int32), bits.to(device))
            for name, bits in _kept_bits(jobs).items()
        ]
        self._graph: torch.cuda.CUDAGraph | None = None

    def advance(self, num_steps: int) -> None:
        """Run that many optimizer steps."""
        done = 0
        while done < num_steps:
            stretch = min(STRETCH, num_steps - done)
            self._inputs.lay_out(self._step, stretch)
            with _exact_convolutions():
                for _ in range(stretch):
                    self._update()
            self._step += stretch
            done += stretch

    def evaluate(self, split: str) -> list[Evaluation]:
        """Loss and accuracy on ``train``, ``validation`` or ``test``, one per lane."""
        losses: list[Tensor] = []
        corrects: list[Tensor] = []
        with torch.no_grad(), _exact_convolutions():
            for inputs, labels in self._data.in_order(split):
                logits = self._forward(inputs, lanes_of_inputs=None)  # (S, B, …, K)
                loss = _cross_entropy(logits, labels.expand(logits.shape[:-1]))
                losses.append(loss.flatten(1).sum(1, dtype=torch.float64))
                corrects.append((logits.argmax(-1) == labels).flatten(1).sum(1))
        num = self._data.num_labels(split)
        loss = torch.stack(losses).sum(0) / num  # (S,)
        accuracy = torch.stack(corrects).sum(0).double() / num
        return [
            Evaluation(loss=a, accuracy=b)
            for a, b in zip(loss.tolist(), accuracy.tolist(), strict=True)
        ]

    def weights(self) -> list[Weights]:
        """Copies of the current weights, one dictionary per lane."""
        arrays = {name: _array(weight) for name, weight in self._weights.items()}
        return [
            {name: array[lane].copy() for name, array in arrays.items()}
            for lane in range(len(self._jobs))
        ]

    def state(self) -> State:
        """Weights and the optimizer's moments, stacked."""
        return {name: _array(tensor) for name, tensor in self._tensors()}

    def restore(self, state: State, step: int) -> None:
        """Continue after ``step`` steps, counted from initialization."""
        self._step = step
        for name, tensor in self._tensors():
            tensor.copy_(torch.tensor(state[name]))

    def _tensors(self) -> Iterator[tuple[str, Tensor]]:
        """All tensors that a step changes; each keeps its place in memory."""
        for name, weight in self._weights.items():
            yield f"weight/{name}", weight.detach()
        for kind, moments in self._optimizer.moments.items():
            for name, moment in moments.items():
                yield f"{kind}/{name}", moment

    def _forward(self, inputs: Tensor, *, lanes_of_inputs: int | None) -> Tensor:
        """Logits that have a label, (S, B, K) or (S, B, P, K).

        They are of each lane's own inputs in training, else of common ones.
        """
        training = lanes_of_inputs is not None

        def of_one_lane(weights: dict[str, Tensor], inputs: Tensor) -> Tensor:
            return forward(self._network, weights, inputs, training=training)

        logits: Tensor = vmap(of_one_lane, in_dims=(0, lanes_of_inputs))(
            self._weights, inputs
        )
        return scored(logits, self._description)

    def _update(self) -> None:
        """Run the next step of the stretch laid out; on a GPU, replay the graph."""
        if self._settings.device == "cpu":
            self._compute()
            return
        with torch.cuda.device(self._settings.device):
            if self._graph is None:
                self._graph = self._captured()
            self._graph.replay()

    def _compute(self) -> None:
        """Compute one step in the same memory every time, as a graph must."""
        inputs, labels = self._data.batch(self._inputs.examples())
        if self._settings.augment == "flip-crop":
            inputs = moved(inputs, *self._inputs.flip_crop())
        logits = self._forward(inputs, lanes_of_inputs=0)  # (S, B, …, K)
        logits = in_precision(logits, self._settings.loss_precision)
        # Losses are summed over lanes, so each lane's gradient is that of its own loss.
        loss = _cross_entropy(logits, labels).sum() / labels[0].numel()
        trained = self._trained
        found = torch.autograd.grad(loss, list(trained.values()))
        gradients = {n: g.contiguous() for n, g in zip(trained, found, strict=True)}
        self._optimizer.update(gradients, *self._inputs.count_and_rate())
        # Pruned weights are masked by their bits, because a product with 0 keeps NaN.
        for bits, kept in self._pruned:
            bits.bitwise_and_(kept)
        self._inputs.next()

    def _captured(self) -> torch.cuda.CUDAGraph:
        """The step as a graph; the trial steps before the capture leave no trace.

        As torch's notes on CUDA graphs demand, steps are warmed up on a side stream and
        then captured once. Never run yet: no GPU was at hand (2026-11-21).
        """
        changed = [*(tensor for _, tensor in self._tensors()), self._inputs.position]
        before = [tensor.clone() for tensor in changed]
        current, side = torch.cuda.current_stream(), torch.cuda.Stream()
        side.wait_stream(current)
        with torch.cuda.stream(side):
            for _ in range(WARM_UP_STEPS):
                self._inputs.position.zero_()
                self._compute()
        current.wait_stream(side)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            self._compute()
        for tensor, value in zip(changed, before, strict=True):
            tensor.copy_(value)
        return graph


def _cross_entropy(logits: Tensor, labels: Tensor) -> Tensor:
    loss = F.cross_entropy(logits.flatten(0, -2), labels.flatten(), reduction="none")
    return loss.view(labels.shape)


def _kept_bits(jobs: Sequence[Job]) -> dict[str, Tensor]:
    """All bits set where a weight is kept; only tensors in which some lane prunes."""
    stacked = {name: np.stack([job.mask[name] for job in jobs]) for name in jobs[0].mask}
    return {
        name: torch.tensor(np.where(kept, np.int32(-1), np.int32(0)))
        for name, kept in stacked.items()
        if not kept.all()
    }


def _same(one: Dataset, other: Dataset) -> bool:
    if one is other:
        return True
    return one.description == other.description and all(
        np.array_equal(
            getattr(getattr(one, name), part), getattr(getattr(other, name), part)
        )
        for name in SPLITS
        for part in ("inputs", "labels")
    )


def _exact_convolutions() -> AbstractContextManager[None]:
    """On GPUs: algorithms that give the same bits twice, in full float32."""
    return torch.backends.cudnn.flags(
        enabled=True, benchmark=False, deterministic=True, allow_tf32=False
    )


def _array(tensor: Tensor) -> NDArray[np.float32]:
    array: NDArray[np.float32] = tensor.detach().cpu().numpy().copy()
    return array
