"""Check that files with networks hold what their stages write, computed again.

Facts beside the arrays name them by digest, and what can be drawn or cut again is.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pipeline.artifacts import files, paths
from pipeline.artifacts.descriptions import described
from pipeline.core import data_orders, masks, seeding
from pipeline.core.arrays import Mask, Weights
from pipeline.core.digests import digest
from pipeline.core.models.init import initial_weights
from pipeline.core.round_starts import source_weights, start_weights
from pipeline.core.training.mask_rules import first_mask
from pipeline.data.facts import DatasetFacts
from pipeline.data.own.arrays import pixel_statistics
from pipeline.inspect.verification.looking import Look, Looks, Subject, difference
from pipeline.plan import places
from pipeline.run.round_starts import Behind, read


def data(subject: Subject) -> Looks:
    """The data set: its arrays as its digest says, its facts those that settings know."""
    path, name = subject.item.path("data"), subject.item.key
    tasks = subject.settings.tasks.values()
    known = next(task.dataset for task in tasks if task.data == name)

    def look() -> str:
        arrays = files.load_arrays(path)
        wanted = described(known.description) | {"digest": digest(arrays)}
        if isinstance(known, DatasetFacts) and known.computes_statistics:
            mean, std = pixel_statistics(arrays["train.images"])
            wanted |= {"mean": mean, "std": std}
        return difference(wanted, files.load_facts(path))

    yield path, look


def theta0(subject: Subject) -> Looks:
    """θ₀: drawn again."""
    for seed in subject.item.seeds:
        path = paths.seed_file(subject.item.path("theta0"), seed)

        def look(path: Path = path, seed: int = seed) -> str:
            model = subject.task.model
            rng = seeding.generator(seed, "init", copy=model.draw)
            drawn = initial_weights(subject.network, model.init, rng)
            return _arrays(drawn, files.load_arrays(path), "init draws") or difference(
                {"theta0": digest(drawn)}, files.load_facts(path)
            )

        yield path, look


def early(subject: Subject) -> Looks:
    """Weights after k steps: as their digest says, from the θ₀ that is there."""
    for seed in subject.item.seeds:
        path = paths.seed_file(subject.item.path("early"), seed)

        def look(path: Path = path, seed: int = seed) -> str:
            drawn = files.load_weights(subject.item.path("theta0"), seed)
            wanted = {
                "theta0": digest(drawn),
                "weights": digest(files.load_arrays(path)),
            }
            return difference(wanted, files.load_facts(path))

        yield path, look


def cut(subject: Subject) -> Looks:
    """Masks of prune: as their digest and density say. Chains check how they came about."""
    for seed in subject.item.seeds:
        path = paths.seed_file(subject.item.path("masks"), seed)

        def look(path: Path = path) -> str:
            mask = files.load_arrays(path)
            wanted = {"mask": digest(mask), "density": masks.density(mask)}
            return difference(wanted, files.load_facts(path))

        yield path, look


def starts(subject: Subject) -> Looks:
    """Starts: made again."""
    item, variant = subject.item, subject.variant
    assert variant is not None, "the dense network starts from θ₀"
    behind = Behind(
        data=item.path("data"),
        theta0=item.path("theta0"),
        mask=item.path("mask"),
        weights=item.path("behind"),
        round=item.number("round"),
        source=subject.settings.tasks.get(str(item.fields.get("mask_task"))),
    )
    for seed in item.seeds:
        path = paths.seed_file(item.path("starts"), seed)

        def look(path: Path = path, seed: int = seed) -> str:
            known = read(behind, subject.task, variant, seed)
            to = subject.task.program.start(variant.rewind.to)
            source = source_weights(known, to, variant.rewind.draw)
            made = start_weights(known, source, variant.rewind.pruned)
            wanted = {
                "theta0": digest(known.theta0),
                "source": digest(source),
                "mask": digest(known.mask),
            }
            promised = f"{variant.rewind.to} under the mask gives"
            return _arrays(made, files.load_arrays(path), promised) or difference(
                wanted, files.load_facts(path)
            )

        yield path, look


def trained(subject: Subject) -> Looks:
    """Trained weights and masks: those that the result file names by digest."""
    item = subject.item
    for seed in item.seeds:
        weights = paths.seed_file(item.path("trained"), seed, "weights")
        mask = paths.seed_file(item.path("trained"), seed, "mask")

        def look_at_weights(path: Path = weights, seed: int = seed) -> str:
            named = result_of(item.path("results"), seed)["trained"]
            return _named(files.load_arrays(path), named) or difference(
                {}, files.load_facts(path)
            )

        def look_at_mask(path: Path = mask, seed: int = seed) -> str:
            found = files.load_arrays(path)
            named = result_of(item.path("results"), seed)["mask"]
            wanted = {"density": masks.density(found)}
            return _named(found, named) or difference(wanted, files.load_facts(path))

        yield weights, look_at_weights
        yield mask, look_at_mask
        if subject.variant and subject.variant.prune.policy.trains_scores:
            yield _scores(subject, seed)


def _scores(subject: Subject, seed: int) -> tuple[Path, Look]:
    path = paths.seed_file(subject.item.path("trained"), seed, "scores")

    def look() -> str:
        named = result_of(subject.item.path("results"), seed)["scores"]
        return _named(files.load_arrays(path), named) or difference(
            {}, files.load_facts(path)
        )

    return path, look


def copies(subject: Subject) -> Looks:
    """Copies of a start: weights and masks as the facts beside them say."""
    item = subject.item
    pairs = subject.settings.analyses[item["analysis"]].pairs or 0
    for seed in item.seeds:
        for copy in data_orders.of_copies(pairs):
            both = [
                places.copy_file(item.path("copies"), seed, copy, part)
                for part in ("weights", "mask")
            ]
            for path in both:

                def look(
                    path: Path = path, both: list[Path] = both, seed: int = seed
                ) -> str:
                    weights, mask = (files.load_arrays(one) for one in both)
                    wanted = files.load_facts(both[0]) | _of_copy(
                        weights, mask, digest(files.load_weights(item.path("start"), seed))
                    )
                    return difference(wanted, files.load_facts(path))

                yield path, look


def result_of(folder: Path, seed: int) -> dict[str, Any]:
    """The facts of one seed in a result file."""
    facts: dict[str, Any] = files.load_json(folder / "result.json")["seeds"][str(seed)]
    return facts


def begun_with(subject: Subject, seed: int) -> Mask:
    """The mask with which the training of an instance begins."""
    variant = subject.variant
    if variant is None or variant.prune.policy.changes:
        return first_mask(subject.network)
    return files.load_mask(subject.item.path("mask"), seed)


def _of_copy(weights: Weights, mask: Mask, start: str) -> dict[str, Any]:
    return {
        "density": masks.density(mask),
        "kept": masks.kept(mask),
        "collapsed": masks.collapsed(masks.connected(weights, mask)),
        "start": start,
        "mask": digest(mask),
        "trained": digest(weights),
    }


def _named(found: Mapping[str, Any], named: str) -> str:
    if digest(found) == named:
        return ""
    return "its arrays are not those that result.json names by digest"


def _arrays(wanted: Weights, found: Weights, promised: str) -> str:
    """How arrays differ from those that were made again."""
    for name, values in wanted.items():
        if name not in found:
            return f"{name} is missing"
        if (values.dtype, values.shape) != (found[name].dtype, found[name].shape):
            return (
                f"{name} is {found[name].dtype} {list(found[name].shape)}, "
                f"{values.dtype} {list(values.shape)} expected"
            )
        if digest({name: values}) != digest({name: found[name]}):
            return f"{name} is not what {promised}"
    extra = sorted(found.keys() - wanted.keys())
    return f"{extra[0]} does not belong there" if extra else ""
