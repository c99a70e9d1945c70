"""Time a step that trains scores against one that trains weights.

    python benchmarks/scores.py [--model lenet-300-100] [--batch-size 60] [--rounds 100]

Both are trained by the reference engine on one thread, by turns in short slices.
Counted is the thread's own time, so that it may be measured beside other work. The ratio
is that of the first deciles of both; the target is 1.5 at most.
"""

import argparse
import statistics
import time
from dataclasses import replace

import torch

from pipeline.core import policies, seeding
from pipeline.core.batches import Dataset, Split
from pipeline.core.cuts.asked import Asked
from pipeline.core.description import of_images
from pipeline.core.models import build
from pipeline.core.models.init import initial_weights
from pipeline.core.models.layers import Network, kernels
from pipeline.core.policies import POLICIES
from pipeline.core.training.engine import Engine, Job
from pipeline.core.training.mask_rules import first_mask
from pipeline.core.training.settings import TrainSettings
from pipeline.engines import make_engine

TARGET = 1.5
SLICE = 20
"""steps of a slice"""
FIRST = 60
"""steps before anything is measured: the highest scores change most at the beginning"""
DENSITY = 0.5
SHAPES = {"lenet-300-100": (1, 28, 28)}
"""of the images, where they are not those of CIFAR"""
SETTINGS = TrainSettings(
    steps=10**6,
    batch_size=60,
    optimizer="sgd",
    lr=0.1,
    momentum=0.9,
    evaluate_every=10**6,
    engine="reference",
)


def data_of(model: str) -> Dataset:
    """Random images in ten classes."""
    shape = SHAPES.get(model, (3, 32, 32))
    rng = seeding.generator(0, "split")

    def split(size: int) -> Split:
        images = rng.integers(0, 256, (size, *shape), "uint8")
        return Split(inputs=images, labels=rng.integers(0, 10, size))

    return Dataset(
        train=split(20_000),
        validation=split(10),
        test=split(10),
        description=of_images(shape, classes=10, mean=(0.5,), std=(0.5,)),
    )


def job_of(network: Network, data: Dataset, policy: str | None, batch_size: int) -> Job:
    """A training of weights, or of scores by a policy."""
    rule = None
    if policy is not None:
        fractions = dict.fromkeys(kernels(network), 1 - DENSITY)
        wanted = Asked(criterion="", fractions=fractions, scope="layerwise", rounds=1)
        asks = POLICIES[policy].asks_for_counts
        rule = policies.score_rule(policy, wanted if asks else None, network)
    return Job(
        network=network,
        start=initial_weights(network, "kaiming-normal", seeding.generator(0, "init")),
        mask=first_mask(network),
        data=data,
        settings=replace(SETTINGS, batch_size=batch_size),
        seed=0,
        round=1,
        score_rule=rule,
    )


def seconds(engine: Engine) -> float:
    """Seconds per step of one slice."""
    begin = time.thread_time()
    engine.advance(SLICE)
    return (time.thread_time() - begin) / SLICE


def main() -> None:
    """Print a line per policy."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="lenet-300-100")
    parser.add_argument("--batch-size", type=int, default=60)
    parser.add_argument("--rounds", type=int, default=100)
    asked = parser.parse_args()
    torch.set_num_threads(1)
    data = data_of(asked.model)
    network = build(asked.model, widths=None, data=data.description)
    names = [None, *(n for n, policy in POLICIES.items() if policy.trains_scores)]
    engines = {
        name: make_engine("reference", [job_of(network, data, name, asked.batch_size)])
        for name in names
    }
    for engine in engines.values():
        engine.advance(FIRST)
    taken: dict[str | None, list[float]] = {name: [] for name in names}
    for _ in range(asked.rounds):
        for name, engine in engines.items():
            taken[name].append(seconds(engine))
    least = {name: statistics.quantiles(times, n=10)[0] for name, times in taken.items()}
    print(f"{asked.model}, batch {asked.batch_size}, {SLICE} steps a slice")
    print(f"weights: {1e3 * least[None]:.2f} ms a step")
    for name in names[1:]:
        ratio = least[name] / least[None]
        print(f"{name}: {1e3 * least[name]:.2f} ms, {ratio:.2f} times (target {TARGET})")


if __name__ == "__main__":
    main()
