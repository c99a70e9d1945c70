"""Time a step of a recurrent network against the same model in a loop by hand.

    python benchmarks/sequences.py

LSTM and GRU with 128 units on images of 28 rows, batch 100, Adam, one thread. Both loops
run in turns in one process, and their processor time is compared; the goal is 1.3.
"""

import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial

import measuring
import torch
from measuring import PAPER
from torch import Tensor, nn

from pipeline.core.batches import Dataset
from pipeline.core.models import build
from pipeline.engines import make_engine

UNITS, BATCH, STEPS, TURNS = 128, 100, 20, 5
SETTINGS = replace(PAPER, batch_size=BATCH, lr=0.001, engine="reference")


def main() -> None:
    """Print, for each cell, milliseconds per step of both loops and their ratio."""
    torch.set_num_threads(1)
    data = measuring.random_data(sizes=(5000, 100, 100))
    for name in ("lstm", "gru"):
        works = {"ours": engine(name, data), "by hand": loop(name, data)}
        for steps in works.values():
            steps()  # the first ones take longer
        found = measuring.in_turns(
            {side: partial(seconds, steps) for side, steps in works.items()}, TURNS
        )
        ours, by_hand = found["ours"], found["by hand"]
        print(
            f"{name}-{UNITS}: {1000 * ours:.1f} ms a step, by hand {1000 * by_hand:.1f}; "
            f"ratio {ours / by_hand:.2f}"
        )


def engine(name: str, data: Dataset) -> Callable[[], object]:
    """The reference engine, ready to go on by some steps."""
    network = build(name, widths=(UNITS,), data=data.description)
    job = measuring.make_job(network, data, 1.0, SETTINGS)
    made = make_engine("reference", [job])
    return lambda: made.advance(STEPS)


def loop(name: str, data: Dataset) -> Callable[[], object]:
    """The same model as one writes it by hand."""
    cell = {"lstm": nn.LSTM, "gru": nn.GRU}[name](28, UNITS, batch_first=True)
    output = nn.Linear(UNITS, 10)
    weights = [*cell.parameters(), *output.parameters()]
    optimizer = torch.optim.Adam(weights, lr=0.001, fused=True)
    (mean,), (std,) = data.description.images.mean, data.description.images.std
    images = torch.from_numpy(data.train.images[:, 0])
    labels = torch.from_numpy(data.train.labels)

    def step(at: Tensor) -> None:
        rows = (images[at].float() - mean) / std
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
