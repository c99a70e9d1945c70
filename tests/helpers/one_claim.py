"""A claims file with one claim, checked against stores; checks and accuracies for it."""

from collections.abc import Callable

from pipeline.compare import Compared, compare
from pipeline.compare.claims import Book, load
from pipeline.tracking import TrackedStore

Accuracy = Callable[[str, float, int], float | None]
"""variant, density, seed -> test accuracy"""

HEAD = """
variants:
  ticket: {mask.from: own, mask.schedule: iterative, rewind.to: theta0}
  one-shot: {mask.from: own, mask.schedule: one-shot, rewind.to: theta0}
  reinit: {mask.from: taken, prune.transform: null, rewind.to: reinit}
  random-mask: {mask.from: taken, prune.transform: shuffle}
protocols:
  lenet:
    settings: {data: mnist, model.name: lenet-300-100, train.lr: 0.0012, compat: null}
    masks: {fraction.fc: 0.2}
    min_steps: 10000
    dense_accuracy: 0.97
claims:
- {id: it, claim: A claim., source: Somebody 2019, where: Figure 1, sure: memory,
   protocol: lenet, published: PUBLISHED, check: CHECK}
"""

EQUIVALENCE = (
    "{kind: equivalence, variant: ticket, against: reinit, metric: test_accuracy, "
    "at: [0.8, 0.108], margin: 0.003}"
)
FASTER = "{kind: ratio, variant: ticket, against: dense, at: [0.211], high: 1.0}"
LEAVES = (
    "{kind: leaves, variant: reinit, against: dense, metric: test_accuracy, "
    "upper: 0.411, lower: 0.135, margin: 0.002}"
)
WINS = "{kind: winning, variant: ticket, at: [0.211]}"


def book(check: str, published: str, *changes: tuple[str, str]) -> Book:
    """One claim, with what it needs; ``changes``: words of the file, what they become."""
    text = HEAD.replace("PUBLISHED", published).replace("CHECK", check)
    for old, new in changes:
        text = text.replace(old, new)
    return load(text)


def checked(check: str, *stores: TrackedStore, published: str = "less") -> Compared:
    """The row of one claim."""
    return compare(stores, book(check, published))[0]


def shifted(
    variant: str,
    by: float,
    *,
    noise: float = 0.0002,
    at: tuple[float, float] = (0.0, 1.0),
) -> Accuracy:
    """Accuracies of the dense network, and a variant that differs from it."""

    def accuracy(name: str, density: float, seed: int) -> float:
        wave = noise * ((seed * 5 + round(1000 * density)) % 7 - 3)
        more = by if name == variant and at[0] <= density <= at[1] else 0.0
        return 0.98 + 0.0004 * (seed % 3) + (more + wave if name == variant else 0.0)

    return accuracy


def untrained(variant: str, density: float, seed: int) -> float:
    """The accuracy of a network that did not train."""
    return 0.1 + 0.001 * seed


def diverged(variant: str, density: float, seed: int) -> None:
    """The accuracy of a training that diverged."""
    return


def difference(
    low: str = "0.0", high: str = "null", against: str = "dense", at: str = "[0.211]"
) -> str:
    """The check of a difference between the ticket and another variant."""
    return (
        f"{{kind: difference, variant: ticket, against: {against}, "
        f"metric: test_accuracy, at: {at}, low: {low}, high: {high}}}"
    )
