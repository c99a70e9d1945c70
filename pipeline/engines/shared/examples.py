"""The splits of a data set on a device, as torch tensors."""

from collections.abc import Iterator

import torch
from torch import Tensor

from pipeline.core.batches import Dataset, Split
from pipeline.core.description import Images

SPLITS = ("train", "validation", "test")
EVALUATION_BATCH = 250
"""examples per forward pass: a wide network's activations stay below 100 MB"""


class Examples:
    """Inputs and labels of every split; images stay raw pixels until they are used."""

    def __init__(self, data: Dataset, device: torch.device) -> None:
        splits: dict[str, Split] = {name: getattr(data, name) for name in SPLITS}
        self._inputs = {n: torch.tensor(s.inputs).to(device) for n, s in splits.items()}
        self._labels = {n: torch.tensor(s.labels).to(device) for n, s in splits.items()}
        self._images = isinstance(data.description.inputs, Images)
        if self._images:
            self._mean = torch.tensor(data.images.mean, device=device)[:, None, None]
            self._std = torch.tensor(data.images.std, device=device)[:, None, None]

    def batch(self, examples: Tensor) -> tuple[Tensor, Tensor]:
        """Inputs as a network sees them, and labels, of training examples.

        Args:
            examples: their positions, of any shape; it becomes the first dimensions of
                both results.
        """
        labels = self._labels["train"]
        at = examples.to(labels.device).flatten()
        inputs = self._prepared(self._inputs["train"].index_select(0, at))
        shape = examples.shape
        return inputs.unflatten(0, shape), labels.index_select(0, at).unflatten(0, shape)

    def in_order(self, split: str) -> Iterator[tuple[Tensor, Tensor]]:
        """A split as batches, the last may be smaller; each is prepared when used."""
        batches = self._inputs[split].split(EVALUATION_BATCH)
        labels = self._labels[split].split(EVALUATION_BATCH)
        for inputs, some in zip(batches, labels, strict=True):
            yield self._prepared(inputs), some

    def num_labels(self, split: str) -> int:
        """The number of labels of a split: one per example, or several."""
        return self._labels[split].numel()

    def _prepared(self, inputs: Tensor) -> Tensor:
        if not self._images:
            return inputs
        return inputs.float().sub_(self._mean).div_(self._std)
