"""Check pools against the networks that they are mixed of."""

from pathlib import Path
from typing import Any

from pipeline.artifacts import files, paths
from pipeline.core import pools
from pipeline.core.digests import digest
from pipeline.core.models.layers import parameters
from pipeline.core.pools import Joined, Pool
from pipeline.inspect.verification.looking import Looks, Subject, difference
from pipeline.run import networks
from pipeline.run import pools as run
from pipeline.run.pools import Source


def noted(subject: Subject) -> Looks:
    """Digests of networks: noted again."""
    path = subject.item.path("networks")
    yield path, lambda: difference(networks.noted(subject.item), files.load_json(path))


def pooled(subject: Subject) -> Looks:
    """Weights and masks: mixed again of what joined, with accuracies that never fall.

    That no other share is better is not computed again; it takes as long as the stage. Nor
    are running statistics that were made anew.
    """
    source = run.source_of(subject.item, subject.settings)
    compared = _mixed_tensors(subject, source)
    for seed in subject.item.seeds:
        folder = subject.item.path("pooled")
        weights, mask = (
            paths.seed_file(folder, seed, part) for part in ("weights", "mask")
        )

        def look_at_mask(path: Path = mask, seed: int = seed) -> str:
            known = files.load_facts(path)
            made = _again(source, seed, known["pool"])
            accuracies = [one["validation_accuracy"] for one in known["pool"]]
            if accuracies != sorted(accuracies):
                return "the pool became worse on the way"
            if digest(files.load_arrays(path)) != digest(made.mask):
                return "it is not the mask of what joined the pool"
            return difference(run.facts(made), known)

        def look_at_weights(path: Path = weights, of: Path = mask, seed: int = seed) -> str:
            made = _again(source, seed, files.load_facts(of)["pool"]).weights
            found = files.load_arrays(path)
            for name in compared:
                if digest({name: found[name]}) != digest({name: made[name]}):
                    return f"{name} is not what joined the pool"
            return difference({}, files.load_facts(path))

        yield weights, look_at_weights
        yield mask, look_at_mask


def _mixed_tensors(subject: Subject, source: Source) -> list[str]:
    """The tensors that are mixed; running statistics may be made anew."""
    every = source.how.recalibration_batches is None
    tensors = parameters(subject.network).items()
    return [name for name, tensor in tensors if every or tensor.trainable]


def _again(source: Source, seed: int, known: list[dict[str, Any]]) -> Pool:
    """A pool, mixed of what joined it."""
    weights, mask = run.begun_with(source, seed)
    counts = pools.counts_of(mask, source.together)
    others = dict(run.others(source, seed))
    joined = [
        Joined(round=o["round"], share=o["share"], accuracy=o["validation_accuracy"])
        for o in known
    ]
    for one in joined:
        weights, mask = pools.mixed(weights, others[one.round], one.share, mask, counts)
    return Pool(weights=weights, mask=mask, joined=tuple(joined))
