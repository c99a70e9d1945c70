"""Run on a GPU: check the batched engine on CUDA, time it, run Conv-2 with seeds.

    python benchmarks/gpu.py --minutes 13 --out gpu

First the engine against the reference on the CPU, which must agree to rounding; then steps
per second of 1, 8 and 64 LeNets and of 1 and 8 Conv-2 side by side; then, in a clone of
this repository, tickets of the preset ``conv-2-paper`` with as many seeds as fit into the
rest of the time. The folder ``--out`` gets ``gpu.json`` and the tables that ``lt-pipeline
compare --uri FOLDER`` judges; ``benchmarks/results.py --gpu FOLDER`` puts both on the
results page. ``--tiny`` does the same on the CPU with small networks and data, as a test.
"""

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import measuring
import numpy as np
import torch
from measuring import PAPER, ROOT, Report
from ruamel.yaml import YAML

from pipeline import presets, tracking
from pipeline.config import params
from pipeline.core.batches import Dataset
from pipeline.core.training.engine import Job
from pipeline.core.training.settings import TrainSettings
from pipeline.engines import make_engine
from pipeline.tracking import shared_tables

COMPARED = 20
"""steps after which engine and reference are compared"""
CLOSE = 1e-3
"""largest difference of a weight, in units of its tensor's largest, that is rounding"""
ROUNDS = 12
"""of the tickets of Conv-2: 8.9 % of the weights in the last"""
OVERHEAD_S = 60
"""of the pipeline around the trainings"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Sizes:
    """What is run."""

    device: str
    compared: str
    """the model that engine and reference are compared with"""
    lanes: dict[str, tuple[int, ...]]
    """model -> numbers of networks side by side"""
    settings: dict[str, Any]
    """params.yaml of the experiment, whose seeds are still open"""


def full() -> Sizes:
    """On a GPU."""
    raw = params.parse_yaml(presets.text_of("conv-2-paper"))
    for task in raw["tasks"].values():
        task["train"]["device"] = "cuda"
    kept = {"ticket": raw["variants"]["ticket"]}
    return Sizes(
        device="cuda",
        compared="lenet-300-100",
        lanes={"lenet-300-100": (1, 8, 64), "conv-2": (1, 8)},
        settings=raw | {"variants": kept, "rounds": ROUNDS, "experiment": "conv-2-gpu"},
    )


def tiny() -> Sizes:
    """On the CPU, within seconds."""
    raw = params.parse_yaml(presets.text_of("digits"))
    for task in raw["tasks"].values():
        task["train"] |= {"steps": 40, "engine": "batched"}
    kept = {"ticket": raw["variants"]["ticket"]}
    return Sizes(
        device="cpu",
        compared="lenet-300-100",
        lanes={"lenet-300-100": (1, 2)},
        settings=raw | {"variants": kept, "rounds": 1, "experiment": "gpu-tiny"},
    )


def jobs(model: str, data: Dataset, num: int, settings: TrainSettings) -> list[Job]:
    """The same dense network with other data orders."""
    network = measuring.network_for(model, data)
    job = measuring.make_job(network, data, 1.0, settings)
    return [replace(job, seed=seed) for seed in range(num)]


def difference(sizes: Sizes, data: Dataset) -> float:
    """The largest difference between batched engine and reference after some steps."""
    found = []
    for name, device in (("batched", sizes.device), ("reference", "cpu")):
        (job,) = jobs(sizes.compared, data, 1, replace(PAPER, device=device))
        engine = make_engine(name, [job])
        engine.advance(COMPARED)
        found.append(engine.weights()[0])
    return max(
        float(np.abs(ours - known).max() / np.abs(known).max())
        for ours, known in zip(*(one.values() for one in found), strict=True)
        if known.any()
    )


def rates(sizes: Sizes, seconds: float) -> list[Report]:
    """Steps per second of networks side by side."""
    rows = []
    for model, numbers in sizes.lanes.items():
        shape = (3, 32, 32) if model.startswith("conv") else (1, 28, 28)
        data = measuring.random_data(image_shape=shape)
        for num in numbers:
            settings = replace(PAPER, device=sizes.device)
            engine = make_engine("batched", jobs(model, data, num, settings))
            engine.advance(5)
            steps, begin = 0, time.perf_counter()
            while time.perf_counter() - begin < seconds:
                engine.advance(5)
                if sizes.device == "cuda":
                    torch.cuda.synchronize()
                steps += 5
            rate = steps / (time.perf_counter() - begin)
            rows.append({"model": model, "lanes": num, "steps_per_s": round(rate, 1)})
            print(f"{model}, {num} side by side: {rate:,.0f} steps/s of each")
    return rows


def num_seeds(sizes: Sizes, rows: Sequence[Report], seconds: float) -> int:
    """How many seeds fit into the time, at the best rate of the last model; at least 1."""
    model = rows[-1]["model"]
    best = max(r["lanes"] * r["steps_per_s"] for r in rows if r["model"] == model)
    (task,) = sizes.settings["tasks"].values()
    per_seed = (1 + sizes.settings["rounds"]) * task["train"]["steps"]
    return max(1, int(best * (seconds - OVERHEAD_S) / per_seed))


def experiment(sizes: Sizes, seeds: int, seconds: float, out: Path) -> None:
    """Run the experiment in a clone and write its tables; what is cut off is left out."""
    with tempfile.TemporaryDirectory() as folder:
        clone = Path(folder) / "clone"
        subprocess.run(["git", "clone", "-q", str(ROOT), str(clone)], check=True)
        settings = sizes.settings | {"seeds": list(range(seeds))}
        with (clone / params.FILE).open("w") as opened:
            YAML(typ="safe", pure=True).dump(settings, opened)
        uri = f"sqlite:///{clone}/mlflow.db"
        commands = (["pipeline.cli", "plan"], ["dvc", "repro"], ["pipeline.cli", "track"])
        for command in commands:
            limit = max(seconds, 30) if command[0] == "dvc" else None
            try:
                whole = [sys.executable, "-m", *command]
                subprocess.run(whole, cwd=clone, timeout=limit, check=True)
            except subprocess.TimeoutExpired:
                print("the time is over; finished rounds are kept")
        shared_tables.write(tracking.read_all(uri, root=clone), out)


def main() -> None:
    """Run all parts within the time."""
    options = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    options.add_argument("--minutes", type=float, default=13)
    options.add_argument("--out", type=Path, required=True)
    options.add_argument("--tiny", action="store_true")
    given = options.parse_args()
    begin = time.monotonic()
    sizes = tiny() if given.tiny else full()
    if sizes.device == "cuda" and not torch.cuda.is_available():
        sys.exit("gpu.py: torch finds no GPU here; give --tiny to try it on the CPU")
    given.out.mkdir(parents=True, exist_ok=True)
    apart = difference(sizes, measuring.random_data())
    print(f"largest difference from the reference after {COMPARED} steps: {apart:.1e}")
    if apart > CLOSE:
        sys.exit(f"gpu.py: that is more than rounding ({CLOSE:g}); nothing else is run")
    rows = rates(sizes, 0.5 if given.tiny else 10)
    left = 60 * given.minutes - (time.monotonic() - begin)
    seeds = 2 if given.tiny else num_seeds(sizes, rows, left)
    name = torch.cuda.get_device_name() if sizes.device == "cuda" else "CPU"
    measuring.save(
        given.out / "gpu.json",
        begin,
        device=name,
        difference=apart,
        rates=rows,
        seeds=seeds,
    )
    experiment(sizes, seeds, left, given.out)


if __name__ == "__main__":
    main()
