"""Time steps of networks that read sequences.

    python benchmarks/sequences.py

LSTM and GRU with 128 units on images of 28 rows, batch 100, Adam, one thread, against the
same model in a loop by hand. Both loops run in turns in one process, and their processor
time is compared; the goal is 1.3.

Then the MLP for sums modulo 67, all 911 pairs a step, AdamW, one thread: one seed in the
reference engine, one and eight side by side in the batched engine; the goal is eight for
less than 3 times the price of one.
"""

import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial

import measuring
import torch
from measuring import PAPER
from torch import Tensor, nn

from pipeline.core import seeding
from pipeline.core.batches import Dataset, Split
from pipeline.core.description import Classes, Description, Tokens
from pipeline.core.models import build
from pipeline.core.models.init import initial_weights
from pipeline.data.own import arithmetic
from pipeline.data.own.arithmetic import Arithmetic
from pipeline.engines import make_engine

UNITS, BATCH, STEPS, TURNS = 128, 100, 20, 5
SEEDS = 8
SETTINGS = replace(PAPER, batch_size=BATCH, lr=0.001, engine="reference")


def main() -> None:
    """Print milliseconds per step and ratios."""
    torch.set_num_threads(1)
    recurrent()
    seeds_side_by_side()


def recurrent() -> None:
    """For each cell, both loops and their ratio."""
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


def seeds_side_by_side() -> None:
    """One and eight seeds of the MLP for sums."""
    data = sums()
    works = {
        (name, number): side_by_side(name, number, data)
        for name, number in (("reference", 1), ("batched", 1), ("batched", SEEDS))
    }
    for steps in works.values():
        steps()
    found = measuring.in_turns(
        {f"{name} {n}": partial(seconds, steps) for (name, n), steps in works.items()},
        TURNS,
    )
    one = found["reference 1"]
    for name, spent in found.items():
        print(
            f"token-mlp, engine and seeds {name}: {1000 * spent:.1f} ms a step, "
            f"{spent / one:.2f} times one"
        )


def sums() -> Dataset:
    """Sums modulo 67 as Grokking Tickets has them."""
    table = arithmetic.arrays(
        Arithmetic(operation="x + y", modulus=67, train=0.4, unordered=True, signs=False)
    )
    train, validation, test = (
        Split(inputs=table[f"{name}_inputs"], labels=table[f"{name}_labels"])
        for name in ("train", "validation", "test")
    )
    return Dataset(
        train=train,
        validation=validation,
        test=test,
        description=Description(
            inputs=Tokens(vocabulary=67, length=2), labels=Classes(number=67)
        ),
    )


def side_by_side(name: str, number: int, data: Dataset) -> Callable[[], object]:
    """An engine with so many seeds, ready to go on by some steps."""
    network = build("token-mlp", widths=(500, 48), data=data.description)
    settings = replace(
        SETTINGS,
        batch_size=len(data.train),
        optimizer="adamw",
        lr=0.01,
        weight_decay=1.0,
        betas=(0.9, 0.98),
    )
    jobs = []
    for seed in range(number):
        start = initial_weights(network, "module", seeding.generator(seed, "init"))
        whole = measuring.make_job(network, data, 1.0, settings)
        jobs.append(replace(whole, start=start, seed=seed))
    made = make_engine(name, jobs)
    return lambda: made.advance(STEPS)


def seconds(steps: Callable[[], object]) -> float:
    """Processor time of one step."""
    begin = time.process_time()
    steps()
    return (time.process_time() - begin) / STEPS


if __name__ == "__main__":
    main()
