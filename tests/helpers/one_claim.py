"""A claims file with one claim, checked against stores."""

from pipeline.compare import Compared, compare
from pipeline.compare.claims import Book, load
from pipeline.tracking import TrackedStore

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


def book(check: str, published: str) -> Book:
    """One claim, with what it needs."""
    return load(HEAD.replace("PUBLISHED", published).replace("CHECK", check))


def checked(check: str, *stores: TrackedStore, published: str = "less") -> Compared:
    """The row of one claim."""
    return compare(stores, book(check, published))[0]
