"""The content of an export: weights, mask, provenance; network and test set on demand."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.artifacts import files
from pipeline.border.errors import UserError
from pipeline.config.settings import Task, network_for
from pipeline.core.arrays import Floats, Mask, Weights
from pipeline.core.batches import Dataset, prepared
from pipeline.core.models.layers import Module, Network

TOLERANCE = 1e-4
"""greatest difference of two outputs that compute the same, as a share of the greatest
output: rounding in float32 leaves 1e-6 to 1e-5 behind networks of 20 layers"""
BATCH = 250
"""examples per forward pass"""


class ExportError(UserError):
    """This network cannot be exported so; one line that says why, and what can be."""


@dataclass(frozen=True, kw_only=True)
class Exported:
    """One network of an experiment, on its way out."""

    task: Task
    data: Path
    """the prepared data set"""
    weights: Weights
    """by state-dict name; pruned weights 0, or what the variant freezes them at"""
    mask: Mask
    provenance: dict[str, Any]
    """where it comes from; JSON values"""

    @cached_property
    def dataset(self) -> Dataset:
        """The data set that it was made for."""
        return files.load_dataset(self.data)

    @cached_property
    def network(self) -> Network:
        """The network of its task."""
        return network_for(self.task, files.load_description(self.data))

    @cached_property
    def names(self) -> Mapping[str, str]:
        """State-dict name -> the name in ``weights`` and ``mask``.

        They differ for torch modules only: a tied tensor has several state-dict names, and
        a buffer that is not persistent has none.
        """
        network = self.network
        if not isinstance(network, Module):
            return {name: name for name in self.weights}
        from pipeline.core.models.modules import state_names

        return state_names(network)

    @cached_property
    def test_inputs(self) -> list[Any]:
        """The test set as a network sees it, in batches of numpy arrays."""
        test = self.dataset.test.inputs
        whole = prepared(test, self.dataset.description.inputs)
        return [whole[i : i + BATCH] for i in range(0, len(whole), BATCH)]

    @cached_property
    def outputs(self) -> Floats:
        """The outputs of the network on the test set in eval mode, (N, …)."""
        import torch

        from pipeline.core.models.forward import forward

        tensors = {name: torch.tensor(weight) for name, weight in self.weights.items()}
        with torch.no_grad():
            found = [
                forward(self.network, tensors, torch.from_numpy(batch), training=False)
                for batch in self.test_inputs
            ]
        return torch.cat(found).numpy()

    def refuse_frozen(self, form: str) -> None:
        """Refuse a form that has only kept weights if pruned ones are not 0.

        Raises:
            ExportError: if they stay in the network at other values.
        """
        if any((self.weights[name][~kept] != 0).any() for name, kept in self.mask.items()):
            raise ExportError(
                f"{self.provenance['variant']} freezes pruned weights at values other than "
                f"0, which {form} has no place for; export it as safetensors"
            )

    def refuse_other(self, found: Floats, form: str) -> float:
        """Refuse a form that does not compute what the network computes on the test set.

        Args:
            found: its outputs on the test set, as ``outputs``.
            form: for the message.

        Returns:
            The greatest difference.

        Raises:
            ExportError: if outputs differ by more than rounding, or are not finite.
        """
        wanted = self.outputs
        same_shape = found.shape == wanted.shape
        difference = float(np.abs(found - wanted).max()) if same_shape else float("nan")
        if not difference <= TOLERANCE * float(np.abs(wanted).max()):
            raise ExportError(
                f"{form} would compute something else: on the test set its outputs differ "
                f"by up to {difference:g}, of up to {float(np.abs(wanted).max()):g}; "
                "nothing is written"
            )
        return difference
