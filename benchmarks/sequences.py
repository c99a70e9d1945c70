"""How long a step of a recurrent network takes, against the same model in a loop by hand.

    python benchmarks/sequences.py

LSTM and GRU with 128 units on images of 28 rows, batch 100, Adam, one thread. Both loops
run in turns in one process, and their processor time is compared; the goal is 1.3.
"""

import statistics
import time
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor, nn

from pipeline.core import masks, seeding
from pipeline.core.batches import Dataset, Split
from pipeline.core.description import of_images
from pipeline.core.models import build
from pipeline.core.models.init import initial_weights
from pipeline.core.models.layers import parameters
from pipeline.core.training.engine import Job
from pipeline.core.training.settings import Schedule, TrainSettings
from pipeline.engines import make_engine

UNITS, BATCH, STEPS, TURNS = 128, 100, 20, 5
MEAN, STD = 33.3, 78.6
ROWS = of_images((1, 28, 28), classes=10, mean=(MEAN,), std=(STD,))
SETTINGS = TrainSettings(
    steps=10_000,
    epochs=None,
    batch_size=BATCH,
    optimizer="adam",
    lr=0.001,
    momentum=0.0,
    weight_decay=0.0,
    schedule=Schedule(name="constant", milestones=(), gamma=1.0, warmup_steps=0),
    augment="none",
    evaluate_every=10_000,
    test_cadence="improved",
    common_noise=True,
    engine="reference",
    device="cpu",
)


def main() -> None:
    """Print, for each cell, milliseconds per step of both loops and their ratio."""
    torch.set_num_threads(1)
    data = made()
    for name in ("lstm", "gru"):
        ours, by_hand = engine(name, data), loop(name, data)
        times: list[tuple[float, float]] = []
        for _ in range(TURNS + 1):
            times.append((seconds(ours), seconds(by_hand)))
        first, second = (
            statistics.median(column) for column in zip(*times[1:], strict=True)
        )
        print(
            f"{name}-{UNITS}: {1000 * first:.1f} ms a step, by hand {1000 * second:.1f}; "
            f"ratio {first / second:.2f}"
        )


def made() -> Dataset:
    """Random images, as many as a few batches need."""
    rng = np.random.default_rng(0)

    def part(size: int) -> Split:
        pixels = rng.integers(0, 256, (size, 1, 28, 28)).astype(np.uint8)
        return Split(inputs=pixels, labels=rng.integers(0, 10, size))

    return Dataset(train=part(5000), validation=part(100), test=part(100), description=ROWS)


def engine(name: str, data: Dataset) -> Callable[[], object]:
    """The reference engine, ready to go on by some steps."""
    network = build(name, widths=(UNITS,), data=ROWS)
    tensors = parameters(network)
    job = Job(
        network=network,
        start=initial_weights(network, "module", seeding.generator(0, "init")),
        mask=masks.dense(tensors, [n for n, tensor in tensors.items() if tensor.kind]),
        data=data,
        settings=SETTINGS,
        seed=0,
        round=0,
    )
    made = make_engine("reference", [job])
    return lambda: made.advance(STEPS)


def loop(name: str, data: Dataset) -> Callable[[], object]:
    """The same model as one writes it by hand."""
    cell = {"lstm": nn.LSTM, "gru": nn.GRU}[name](28, UNITS, batch_first=True)
    output = nn.Linear(UNITS, 10)
    weights = [*cell.parameters(), *output.parameters()]
    optimizer = torch.optim.Adam(weights, lr=0.001, fused=True)
    images = torch.from_numpy(data.train.images[:, 0])
    labels = torch.from_numpy(data.train.labels)

    def step(at: Tensor) -> None:
        rows = (images[at].float() - MEAN) / STD
        states, _ = cell(rows)
        loss = nn.functional.cross_entropy(output(states[:, -1]), labels[at])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    def steps() -> None:
        for _ in range(STEPS):
            step(torch.randint(len(labels), (BATCH,)))

    return steps


def seconds(steps: Callable[[], object]) -> float:
    """Processor time of one step."""
    begin = time.process_time()
    steps()
    return (time.process_time() - begin) / STEPS


if __name__ == "__main__":
    main()
