"""Early-bird tickets: whole channels are pruned once the set to prune stops changing.

You, Li, Xu, Fu, Wang, Chen, Lin, Wang, Baraniuk 2020, "Drawing early-bird tickets",
arXiv:1909.11957, and its code. The network trains dense. At every look its channels are
ranked over all layers by the size of their batch norm's scale, and the mask of those that
would stay is compared with the last four: by the share of channels in which two masks
differ (the Hamming distance). Once all four shares are .1 at most, the ticket is drawn: the
channels go, and the rest trains on from the weights that it has.

With a channel go the weights that lead into it and, where no other branch adds to it, those
that lead out of it. Channels of the output stay, and one of every layer, even
if that is more than the recipe leaves.

Deviations: the source asks for a share of the channels; here, as everywhere, the recipe
says how many weights are left, and the smallest channels go until no more weights are left
than that. Two masks drawn at random differ in 2 d (1 − d) of the channels, d the share that
stays: for large and small d less than .1, so that the source's rule would draw at once.
Here the bound is .24 of that number, at most .1; with d of .3 to .7, as in the source, it
is .1. A look comes every 196 updates (an epoch of the source: 50,000 images, 256 in a
batch), or 20 times in the first half of a training that is too short; what is not drawn by
the half is drawn there. Scales are not pulled towards 0, as the source does by an L1 norm.
A layer without batch norm is ranked by the norms of the weights into each unit, over their
mean in its layer.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.core import masks
from pipeline.core.arrays import Mask
from pipeline.core.cuts.asked import Asked
from pipeline.core.models.layers import BatchNorm, Conv, Layers, Linear, Residual
from pipeline.core.training.mask_rules import Arrays, Seen, Shrinking

INTERVAL = 196
"""updates between two looks"""
END = 0.5
"""share of the training by which the ticket is drawn"""
MOST = 20
"""looks of a training that is too short for as many of INTERVAL"""
REMEMBERED = 5
"""masks that are compared: the newest with the others"""
ALIKE = 0.1
"""the largest share of channels in which masks may differ"""
OF_CHANCE = 0.24
"""the same as a share of what masks drawn at random differ in"""

Bools = NDArray[np.bool_]


@dataclass(frozen=True, kw_only=True, slots=True)
class Channels:
    """The channels behind one kernel."""

    into: str
    """the kernel that leads into them"""
    number: int
    scale: str | None
    """their batch norm's scale; None without one"""
    out_of: str | None
    """the kernel that leads out of them; None where another branch adds to them"""


@dataclass(frozen=True, kw_only=True, slots=True)
class EarlyBird:
    """The rule of early-bird tickets: the channels, and how many weights are left."""

    counted: tuple[str, ...]
    """names of the tensors that the mask has"""
    channels: tuple[Channels, ...]
    left: int
    """weights that are left at most"""
    looks_at_gradients: bool = False

    def steps(self, first: int, end: int) -> tuple[int, ...]:
        """The updates after which it looks; the last draws in any case."""
        return looks(first, end)

    def begin(self, mask: Mask, first: int, end: int) -> "Searching":
        """The mask of one network, which keeps everything at the first step."""
        return Searching(self, mask, first, looks(first, end)[-1])


def rule(asked: Asked, sizes: Mapping[str, int], *, layers: Layers) -> EarlyBird:
    """The rule for a network.

    Args:
        asked: how many weights are left.
        sizes: number of weights in the dense network, per tensor that counts.
        layers: of the network.
    """
    found = tuple(one for one in channels_of(layers) if one.into in sizes)
    counts = asked.counts(sizes)
    return EarlyBird(counted=tuple(sizes), channels=found, left=sum(counts.values()))


def looks(first: int, end: int) -> tuple[int, ...]:
    """The updates after which the channels are looked at, in order.

    >>> looks(0, 100_000)[:2], looks(0, 100_000)[-1], looks(0, 8), looks(0, 1)
    ((196, 392), 49980, (1, 2, 3, 4), (0,))
    """
    half = int(END * (end - first))
    interval = max(1, min(INTERVAL, half // MOST))
    return tuple(range(first + interval, first + half + 1, interval)) or (first,)


def channels_of(layers: Layers) -> list[Channels]:
    """The channels of a network that can be pruned, in layer order."""
    found = list(_of_sequence(layers))
    return [one for one in found if one.out_of or one.scale]


def _of_sequence(layers: Layers) -> Iterator[Channels]:
    """Those of a sequence of layers, whose output others may add to."""
    for at, layer in enumerate(layers):
        if isinstance(layer, Residual):
            yield from _of_sequence(layer.body)
            yield from _of_sequence(layer.shortcut)
        elif isinstance(layer, Linear | Conv) and layer.kind != "output":
            rest = _until_kernel(layers[at + 1 :])
            norms = [one for one in rest if isinstance(one, BatchNorm)]
            last = rest[-1] if rest else None
            out_of = last.name if isinstance(last, Linear | Conv) else None
            yield Channels(
                into=f"{layer.name}.weight",
                number=layer.outputs,
                scale=f"{norms[0].name}.weight" if norms else None,
                out_of=f"{out_of}.weight" if out_of else None,
            )


def _until_kernel(layers: Sequence[Any]) -> list[Any]:
    """The layers up to the next that has a kernel, or that branches; it stands last."""
    found = []
    for layer in layers:
        found.append(layer)
        if isinstance(layer, Linear | Conv | Residual):
            break
    return found


class Searching(Shrinking):
    """The mask of one network, which is cut once."""

    def __init__(self, rule: EarlyBird, dense: Mask, first: int, last: int) -> None:
        """Begin with a mask that keeps everything.

        Args:
            rule: with the channels.
            dense: the mask.
            first: step at which the training begins.
            last: step at which the ticket is drawn in any case.
        """
        super().__init__(dense, first)
        self._rule, self._last = rule, last
        self._drawn = False
        total = sum(one.number for one in rule.channels)
        self._seen = np.zeros((0, total), bool)

    def change(self, seen: Seen) -> None:
        """Look at the channels; draw the ticket if they have settled, or at the last."""
        if self._drawn:
            return
        kept = self._kept(seen)
        self._seen = np.vstack([self._seen, kept])[-REMEMBERED:]
        if seen.step >= self._last or self._settled():
            self._draw(seen.step, kept)

    def finish(self, seen: Seen) -> None:
        """Draw the ticket at once, because the training ends here."""
        if not self._drawn:
            self._draw(seen.step, self._kept(seen))

    def state(self) -> dict[str, NDArray[Any]]:
        """A copy of everything that a continuation needs."""
        own = {"drawn": np.array([self._drawn]), "seen": self._seen.copy()}
        return super().state() | own

    def restore(self, state: Arrays) -> None:
        """Go on from a state taken by ``state()``."""
        super().restore(state)
        self._drawn = bool(state["drawn"][0])
        self._seen = np.asarray(state["seen"], np.bool_)

    def _settled(self) -> bool:
        """Whether the newest mask is like those before it."""
        if len(self._seen) < REMEMBERED:
            return False
        share = self._seen[-1].mean()
        bound = min(ALIKE, OF_CHANCE * 2 * share * (1 - share))
        return bool(((self._seen[:-1] != self._seen[-1]).mean(axis=1) <= bound).all())

    def _draw(self, step: int, kept: Bools) -> None:
        self.shrink(self._under(kept), step)
        self._drawn = True

    def _kept(self, seen: Seen) -> Bools:
        """Which channels stay: the largest, so many that few enough weights are left."""
        sizes = np.concatenate([_sizes(one, seen) for one in self._rule.channels])
        layer = np.repeat(
            np.arange(len(self._rule.channels)), [c.number for c in self._rule.channels]
        )
        order = np.lexsort((-np.arange(len(sizes)), np.nan_to_num(sizes, nan=-1.0)))
        spared = {np.flatnonzero(layer[order] == one)[-1] for one in set(layer.tolist())}
        order = order[[at not in spared for at in range(len(order))]]

        def left(gone: int) -> int:
            kept = np.ones(len(sizes), bool)
            kept[order[:gone]] = False
            return sum(masks.kept(self._under(kept)).values())

        # The number of weights falls with every channel that goes.
        low, high = 0, len(order)
        while low < high:
            middle = (low + high) // 2
            low, high = (
                (low, middle) if left(middle) <= self._rule.left else (middle + 1, high)
            )
        found = np.ones(len(sizes), bool)
        found[order[:low]] = False
        return found

    def _under(self, kept: Bools) -> Mask:
        """The mask that keeps these channels."""
        found = {name: np.ones(kept.shape, bool) for name, kept in self.mask.items()}
        ends = np.cumsum([one.number for one in self._rule.channels])
        parts = np.split(kept, ends[:-1])
        for one, stays in zip(self._rule.channels, parts, strict=True):
            found[one.into][~stays] = False
            if one.out_of in found:
                after = found[one.out_of]
                # Behind a Flatten a channel has a column for each of its positions.
                after[:, ~np.repeat(stays, len(after[0]) // one.number)] = False
        return found


def _sizes(channels: Channels, seen: Seen) -> NDArray[np.float64]:
    """The sizes by which channels are ranked."""
    if channels.scale:
        return np.abs(seen.weights[channels.scale]).astype(np.float64)
    kernel = seen.weights[channels.into].astype(np.float64)
    norms: NDArray[np.float64] = np.sqrt((kernel**2).reshape(len(kernel), -1).sum(axis=1))
    mean = norms.mean()
    return norms / mean if mean > 0 else norms
