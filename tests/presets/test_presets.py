"""Every preset runs, and its settings are those of its source."""

import json
from collections import defaultdict
from multiprocessing import forkserver
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from _pytest.mark.structures import ParameterSet
from helpers import experiment
from helpers.standings import on_disk
from ruamel.yaml import YAML

from pipeline import presets
from pipeline.artifacts import files, paths
from pipeline.compare import prospects
from pipeline.config import params
from pipeline.core.analysis.pairs import OTHER_SEED
from pipeline.core.batches import Dataset, Split
from pipeline.core.description import of_images
from pipeline.data.facts import FACTS
from pipeline.inspect import forecast
from pipeline.plan import compiler, plan_file
from pipeline.run.executors import preloads

Word = tuple[str, object]
"""a key, and what its value chooses"""
PARTS = ("analyses", "variants", "tasks")
"""of settings, each after those that name it"""
RAW = {name: params.parse_yaml(presets.text_of(name)) for name in presets.names()}


def cut(raw: dict[str, Any]) -> dict[str, Any]:
    """One seed, one round, two steps of four images: every recipe and analysis is left.

    A line between seeds takes two.
    """
    texts = {
        name: source | {"text": source["text"] | {"length": 5, "characters": 1_000}}
        for name, source in raw.get("datasets", {}).items()
        if source.get("text")
    }
    tasks = {name: _cut_task(task) for name, task in raw["tasks"].items()}
    variants = {name: _cut_variant(variant) for name, variant in raw["variants"].items()}
    analyses = {name: _cut_analysis(one) for name, one in raw["analyses"].items()}
    approximations = _cut_approximations(raw.get("approximations", {}))
    between_seeds = any(one["to"] == OTHER_SEED for one in analyses.values())
    return raw | {
        "seeds": [0, 1] if between_seeds else [0],
        "rounds": 1,
        "workers": 1,
        **(
            {"datasets": {n: s | {"allow_duplicates": True} for n, s in texts.items()}}
            if texts
            else {}
        ),
        **({"approximations": approximations} if approximations else {}),
        "tasks": tasks,
        "variants": variants,
        "analyses": analyses,
    }


def _cut_task(task: dict[str, Any]) -> dict[str, Any]:
    train = {
        "steps": 2,
        "epochs": None,
        "batch_size": 4,
        "processes": min(task["train"]["processes"], 2),
        "evaluate_every": 2,
    }
    return task | {"train": _cut_schedule(task["train"]) | train}


def _cut_schedule(trained: dict[str, Any]) -> dict[str, Any]:
    """The same training, of weights or of scores, with a schedule for two steps."""
    schedule = trained["schedule"]
    marks = {
        "milestones": [1] if schedule["milestones"] else [],
        "warmup_steps": min(schedule["warmup_steps"], 1),
    }
    return trained | {"schedule": schedule | marks}


def _cut_variant(variant: dict[str, Any]) -> dict[str, Any]:
    rewind = variant["rewind"]
    # The rate falls at step 1; fine-tuning from there would be learning-rate rewinding.
    step = None if rewind["step"] is None or rewind["to"] == "fine-tune" else 1
    prune = variant["prune"] | ({"step": 1} if "step" in variant["prune"] else {})
    if prune.get("scores"):
        prune = prune | {"scores": _cut_schedule(prune["scores"])}
    return variant | {"rewind": rewind | {"step": step}, "prune": prune}


def _cut_analysis(analysis: dict[str, Any]) -> dict[str, Any]:
    steps, rounds = analysis["steps"], analysis["rounds"]
    shorter = {
        "steps": steps and sorted({min(step, 1) for step in steps}),
        "rounds": rounds and [1],
        "pairs": analysis["pairs"] and 1,
        "points": 2,
        "recalibration_batches": analysis["recalibration_batches"] and 1,
    }
    return analysis | shorter


def _cut_approximations(raw: dict[str, Any]) -> dict[str, Any]:
    """The first of each construction; it solves the whole network, however few steps."""
    first = {one["construction"]: name for name, one in reversed(raw.items())}
    return {name: raw[name] for name in raw if name in first.values()}


def alike() -> list[list[str]]:
    """The presets by what the cuts leave: a paper's and its quick one are mostly equal."""
    groups = defaultdict(list)
    for name, raw in RAW.items():
        groups[json.dumps(cut(raw) | {"experiment": ""})].append(name)
    return list(groups.values())


NAMES = {".of", ".to", *(f".prune.mask{end}" for end in ("", ".task", ".variant"))}
"""keys whose values are names of the user's"""


def words(raw: dict[str, Any]) -> set[Word]:
    """What the settings choose by a word: a start, a criterion, an optimizer, …

    Names of variants are one word. Networks, data and weights of other tasks have tests of
    their own.
    """
    own = raw["variants"].keys() | raw["tasks"].keys()
    parts = (raw[part].values() for part in PARTS)
    found = {pair for part in parts for one in part for pair in _words(one, "")}
    return {
        (key, "…" if key in NAMES and word in own else word)
        for key, word in found
        if key not in {".data", ".model.name", ".rewind.task"}
    }


def _words(value: object, key: str) -> set[Word]:
    if isinstance(value, dict):
        return {pair for k, v in value.items() for pair in _words(v, f"{key}.{k}")}
    return {(key, value)} if isinstance(value, str | bool) else set()


def cover(wholes: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Parts of few of these settings, in which every word of any of them stands."""
    missing = set[Word]().union(*map(words, wholes))
    found = []
    while missing:
        whole = max(wholes, key=lambda raw: len(missing & words(raw)))
        found.append(part_with(missing, whole))
        missing -= words(whole)
    return found


def part_with(needed: set[Word], raw: dict[str, Any]) -> dict[str, Any]:
    """The settings without what has none of these words, and is not named by the rest."""
    needed = needed & words(raw)
    for part in PARTS:
        for name in reversed(raw[part]):
            rest = {key: one for key, one in raw[part].items() if key != name}
            without = raw | {part: rest}
            if needed <= words(without) and name not in named(without):
                raw = without
    return raw


def named(raw: dict[str, Any]) -> set[object]:
    """The tasks and variants that variants and analyses name."""
    masks = [variant["prune"]["mask"] for variant in raw["variants"].values()]
    analyses = list(raw["analyses"].values())
    users = [*raw["variants"].values(), *analyses]
    return {
        *(one for one in masks if isinstance(one, str)),
        *(name for one in masks if isinstance(one, dict) for name in one.values()),
        *(analysis[end] for analysis in analyses for end in ("of", "to")),
        *(task for user in users for task in user["tasks"]),
        *(variant["rewind"].get("task") for variant in raw["variants"].values()),
    }


COSTLY = {
    "at-init-checks-resnet-20-paper",
    "at-init-lenet-quick",
    "biprop-conv-4-paper",
    "edge-popup-conv-4-paper",
    "elastic-baselines-quick",
    "imagenet-resnet-50-paper",
    "instability-lenet-paper",
    "lottery-pools-lenet-quick",
    "permuted-resnet-20-paper",
    "relearning-lenet-quick",
    "rigl-lenet-quick",
    "winning-sign-lenet-quick",
    "zhou-actions-lenet-paper",
    "zhou-criteria-lenet-paper",
}
"""whose parts take seven seconds and more; tests of stages run what they have one by one"""


def trained() -> list[ParameterSet]:
    """Cuts of presets: few parts with every word, and ``slow`` all of them as a whole."""
    wholes = {" ".join(names): cut(RAW[names[0]]) for names in alike()}
    parts = cover(list(wholes.values()))
    return [
        *(
            pytest.param(
                raw,
                id=f"part of {raw['experiment']}",
                marks=[pytest.mark.slow] if raw["experiment"] in COSTLY else [],
            )
            for raw in parts
        ),
        *(pytest.param(raw, id=id, marks=pytest.mark.slow) for id, raw in wholes.items()),
    ]


def noise(name: str) -> Dataset:
    """A few images of the size that settings describe; ImageNet's have 32 x 32 pixels."""
    facts = FACTS[name]
    shape = (3, 32, 32) if name == "imagenet" else facts.description.images.shape
    rng = np.random.default_rng(0)
    known = facts.description.images
    classes = facts.description.num_classes

    def part(num: int) -> Split:
        images = rng.integers(0, 256, (num, *shape), dtype=np.uint8)
        return Split(inputs=images, labels=np.arange(num) % classes)

    return Dataset(
        train=part(12),
        validation=part(10),
        test=part(10),
        description=of_images(
            shape,
            classes=classes,
            mean=known.mean,
            std=known.std,
        ),
    )


@pytest.fixture(scope="module", autouse=True)
def _preloaded() -> None:
    """One server of workers with all that any engine needs: there are hundreds of them."""
    works = ["pipeline.run.trainings", "pipeline.run.lines"]
    forkserver.set_forkserver_preload([*preloads.MODULES, *works])
    forkserver.ensure_running()


@pytest.mark.parametrize("name", presets.names())
def test_every_preset_is_planned(name: str) -> None:
    settings = params.parse(RAW[name])
    planned = compiler.compile_plan(settings, [settings.seeds])
    assert {item["task"] for item in planned["train"].values()} == set(settings.tasks)
    assert {item["variant"] for item in planned["retrain"].values()} == set(
        settings.variants
    )
    known = json.loads(presets.TIMES.read_text(encoding="utf-8"))
    found = forecast.of_preset(settings, planned)
    assert known[name] == found, "write it with python .ci/reference.py"


@pytest.mark.parametrize("raw", trained())
def test_every_preset_runs_to_its_end_with_two_steps(
    raw: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "pipeline").mkdir()
    (tmp_path / "dvc.yaml").touch()
    with params.FILE.open("w") as opened:
        YAML(typ="safe", pure=True).dump(raw, opened)
    settings = params.load()
    current = plan_file.write(settings, tmp_path)
    for data in current["data"]:
        files.save_dataset(paths.data_file(data), noise(data))
    experiment.run_prepared()
    for stage, folder in (("train", "results"), ("retrain", "results"), ("lines", "lines")):
        for item in current[stage].values():
            assert list(Path(str(item[folder])).glob("*.json"))


# What the sources fix: methods.md, sections 1.3, 2.2, 2.3, 3, 11 and 15

QUICK_ONLY = {
    "fc1-learning-rates",
    "relearning-lenet",
    "equal-cost-lenet",
    "at-init-lenet",
    "rigl-lenet",
    "winning-sign-lenet",
    "sign-in-lenet",
    "permuted-lenet",
    "edge-popup-lenet",
    "biprop-lenet",
    "strong-lenet",
    "strong-cnn",
    "strong-cifar-10",
    "signed-supermask-cnn",
    "extreme-lenet",
    "gem-miner-lenet",
    "early-bird-resnet-20",
    "transfer-lenet",
    "transfer-drawings",
    "rl-cartpole",
    "lottery-pools-lenet",
    "aws-resnet-8",
    "elastic-baselines",
    "subset-sum",
}
"""questions of this project, for which no source has settings"""
PAPER_ONLY = {
    "zhou-conv-2",
    "zhou-conv-4",
    "zhou-conv-6",
    "at-init-resnet-20",
    "edge-popup-conv-4",
    "biprop-conv-4",
    "gem-miner-resnet-20",
    "at-init-checks-resnet-20",
    "synflow-vgg-16",
    "snip-lenet",
    "early-bird-vgg-16",
    "permuted-resnet-20",
    "lottery-pools-vgg-16",
    "aws-resnet-20",
    "imagenet-resnet-50",
}
"""too slow for two cores at any size that would say something"""
UNPAIRED = {
    "digits",
    "mnist-lenet",
    "mnist-lenet-early-stops",
    "subset-sum-direct",
    "subset-sum-relu",
}

ADAM: dict[str, Any] = {
    "model": "lenet-300-100",
    "init": "glorot-normal",
    "batch_size": 60,
    "optimizer": "adam",
    "lr": 0.0012,
    "momentum": 0,
    "weight_decay": 0,
    "milestones": [],
    "warmup_steps": 0,
    "augment": "none",
    "compat": None,
}
LENET = ADAM | {"data": "mnist", "steps": 50_000, "fractions": {"fc": 0.2, "output": 0.1}}
GLOBAL_LENET = LENET | {
    "init": "kaiming-normal",
    "steps": 21_984,
    "fractions": {"fc": 0.2, "output": 0.2},
}
TENTH = {"conv": 0.1, "fc": 0.1, "output": 0.1}
FC1 = LENET | {"steps": 91_600, "fractions": {"fc": 0.1, "output": 0.1}}
LENET5 = FC1 | {"model": "conv-2", "fractions": TENTH}
SCRIPT = {"init": "southampton", "weight_decay": 0.0001, "compat": "southampton"}
CONV = ADAM | {"data": "cifar-10", "fractions": {"conv": 0.1, "fc": 0.2, "output": 0.1}}
CONV_2 = CONV | {"model": "conv-2", "lr": 0.0002, "steps": 20_000}
CONV_4 = CONV | {"model": "conv-4", "lr": 0.0003, "steps": 25_000}
CONV_6 = CONV | {
    "model": "conv-6",
    "lr": 0.0003,
    "steps": 30_000,
    "fractions": {"conv": 0.15, "fc": 0.2, "output": 0.1},
}
RESNET: dict[str, Any] = {
    "data": "cifar-10",
    "model": "resnet-20",
    "init": "glorot-normal",
    "steps": 30_000,
    "batch_size": 128,
    "optimizer": "sgd",
    "lr": 0.1,
    "momentum": 0.9,
    "weight_decay": 0.0001,
    "milestones": [20_000, 25_000],
    "warmup_steps": 0,
    "augment": "flip-crop",
    "compat": None,
    "fractions": {"conv": 0.2, "shortcut": 0, "output": 0},
}
CONNECTED = RESNET | {
    "init": "kaiming-normal",
    "steps": 63_000,
    "milestones": [32_000, 48_000],
    "fractions": {"conv": 0.2, "shortcut": 0.2, "output": 0.2},
}
POPUP = RESNET | {
    "model": "conv-4",
    "init": "kaiming-normal",
    "steps": 100 * 351,
    "lr": 0.01,
    "milestones": [],
    "fractions": {"conv": 0.2, "fc": 0.2, "output": 0.2},
}
BINARY = POPUP | {
    "model": "binary-conv-4",
    "optimizer": "adam",
    "lr": 0.001,
    "momentum": 0,
    "weight_decay": 0,
}
TEXT = ADAM | {"data": "sentences", "init": "module", "batch_size": 30, "lr": 0.001}
SUPERMASK = LENET | {"steps": 2_000 * 220, "batch_size": 250, "fractions": {}}
THREE_ROUNDS = {"fc": 0.488, "output": 0.271}
SOURCES: dict[str, dict[str, dict[str, Any]]] = {
    "fc1": {"main": FC1},
    "fc1-lr-0.1": {"main": FC1 | {"lr": 0.1}},
    "fc1-southampton": {"southampton": FC1 | SCRIPT},
    "fc1-lr-0.1-southampton": {"southampton": FC1 | SCRIPT | {"lr": 0.1}},
    "fc1-protocols": {"main": FC1, "southampton": FC1 | SCRIPT},
    "fc1-lenet5-table-1": {
        name: source | {"fractions": dict.fromkeys(TENTH, 0.271)}
        for name, source in {
            "fc1": FC1,
            "fc1-high-rate": FC1 | {"lr": 0.1},
            "lenet5": LENET5,
            "lenet5-high-rate": LENET5 | {"lr": 0.1},
        }.items()
    },
    "lenet5": {"main": LENET5},
    "lenet5-southampton": {"southampton": LENET5 | SCRIPT},
    "lenet": {"main": LENET},
    "sanity-checks-lenet": {"main": LENET | {"fractions": {"fc": 0.36, "output": 0.19}}},
    "conv-2": {"main": CONV_2},
    "conv-4": {"main": CONV_4},
    "conv-6": {"main": CONV_6},
    "resnet-20": {
        "high-rate": RESNET,
        "low-rate": RESNET | {"lr": 0.01},
        "warm-up": RESNET | {"lr": 0.03, "warmup_steps": 20_000},
    },
    "instability-lenet": {"main": GLOBAL_LENET},
    "late-rewind-lenet": {"main": GLOBAL_LENET},
    "instability-resnet-20": {"main": CONNECTED},
    "late-rewind-resnet-20": {"main": CONNECTED},
    "rewinding-resnet-20": {
        "main": CONNECTED
        | {
            "steps": 182 * 351,
            "weight_decay": 0.0002,
            "milestones": [91 * 351, 136 * 351],
            "fractions": {"conv": 0.2, "shortcut": 0.2, "output": None},
        }
    },
    "at-init-resnet-20": {
        "main": CONNECTED | {"steps": 160 * 351, "milestones": [80 * 351, 120 * 351]}
    },
    "at-init-checks-resnet-20": {
        "main": CONNECTED
        | {
            "steps": 160 * 351,
            "milestones": [80 * 351, 120 * 351],
            "fractions": {"conv": 0.6, "shortcut": 0.6, "output": 0.6},
        }
    },
    "synflow-vgg-16": {
        "main": CONNECTED
        | {
            "model": "vgg-16",
            "steps": 160 * 351,
            "milestones": [60 * 351, 120 * 351],
            "fractions": {"conv": 0.683772, "output": 0.683772},
        }
    },
    "snip-lenet": {
        "main": LENET
        | {
            "steps": 100_000,
            "batch_size": 100,
            "optimizer": "sgd",
            "lr": 0.1,
            "momentum": 0.9,
            "weight_decay": 0.0005,
            "milestones": [25_000, 50_000, 75_000],
            "fractions": {"fc": 0.2595, "output": 0.2595},
        }
    },
    "early-bird-vgg-16": {
        "main": CONNECTED
        | {
            "data": "cifar-100",
            "model": "vgg-16",
            "steps": 160 * 175,
            "batch_size": 256,
            "milestones": [80 * 175, 120 * 175],
            "fractions": {"conv": 0.5, "output": 0.5},
        }
    },
    "gem-miner-resnet-20": {
        "main": CONNECTED
        | {
            "steps": 150 * 351,
            "lr": 0.01,
            "weight_decay": 0,
            "milestones": [80 * 351, 120 * 351],
            "fractions": {"conv": 0.9628, "shortcut": 0.9628, "output": 0.9628},
        }
    },
    "permuted-resnet-20": {
        name: CONNECTED
        | {
            "steps": 200 * 351,
            "lr": lr,
            "weight_decay": 0.0005,
            "milestones": [],
            "fractions": {"conv": 0.2, "shortcut": None, "output": 0.2},
        }
        for name, lr in (("main", 0.08), ("other", 0.08), ("sparse", 0.02))
    },
    "aws-resnet-20": {
        name: CONNECTED
        | {
            "data": "cifar-100",
            "steps": epochs * 351,
            "weight_decay": 0.0005,
            "milestones": milestones,
            "fractions": {"conv": 0.2, "shortcut": 0.2, "output": None},
        }
        for name, epochs, milestones in (
            ("plain", 10, []),
            ("aws", 10, []),
            ("other", 100, [50 * 351, 75 * 351]),
        )
    },
    "lottery-pools-vgg-16": {
        "main": CONNECTED
        | {
            "model": "vgg-16",
            "steps": 182 * 351,
            "milestones": [91 * 351, 136 * 351],
            "fractions": {"conv": 0.2, "output": 0.2},
        }
    },
    "imagenet-resnet-50": {
        "main": RESNET
        | {
            "data": "imagenet",
            "model": "resnet-50",
            "init": "module",
            "steps": 90 * 1241,
            "batch_size": 1024,
            "lr": 0.4,
            "milestones": [30 * 1241, 60 * 1241, 80 * 1241],
            "warmup_steps": 5 * 1241,
            "augment": "random-resized-crop",
            "fractions": dict.fromkeys(("conv", "shortcut", "output"), 0.6838),
        }
    },
    "edge-popup-conv-4": {"main": POPUP},
    "biprop-conv-4": {"main": POPUP, "binary": BINARY},
    "supermask-lenet": {
        "main": SUPERMASK,
        "signed": SUPERMASK
        | {"init": "kaiming-normal", "steps": 100 * 429, "batch_size": 128},
    },
    "zhou-lenet": {"main": LENET | {"steps": 55 * 916}},
    "zhou-criteria-lenet": {"main": LENET | {"steps": 55 * 916, "fractions": THREE_ROUNDS}},
    "zhou-actions-lenet": {"main": LENET | {"steps": 55 * 916, "fractions": THREE_ROUNDS}},
    "zhou-conv-2": {"main": CONV_2 | {"steps": 27 * 750}},
    "elastic-mlp": {
        f"mlp-{depth}": ADAM
        | {
            "data": "mnist",
            "model": "mlp",
            "init": "kaiming-normal",
            "steps": 40 * 429,
            "batch_size": 128,
            "optimizer": "sgd",
            "lr": 0.1,
            "fractions": {"fc": 0.2, "output": None},
        }
        for depth in (2, 3, 4)
    },
    **{
        f"{cell}-rows": {
            "main": ADAM
            | {
                "data": "mnist",
                "model": cell,
                "steps": 50 * 859,
                "batch_size": 64,
                "lr": 0.001,
                "fractions": dict.fromkeys(("input", "recurrent", "output"), 0.2589),
            }
        }
        for cell in ("lstm", "gru")
    },
    "lstm-text": {
        "main": TEXT
        | {"model": "lstm", "steps": 10 * 533}
        | {"fractions": dict.fromkeys(("embedding", "input", "recurrent", "output"), 0.36)}
    },
    "transformer-text": {
        "main": TEXT
        | {"model": "transformer", "steps": 10_000, "warmup_steps": 400}
        | {"fractions": dict.fromkeys(("embedding", "attention", "fc", "output"), 0.36)}
    },
    "zhou-conv-4": {"main": CONV_4 | {"steps": 34 * 750}},
    "zhou-conv-6": {"main": CONV_6 | {"steps": 40 * 750}},
    "grok-addition": {
        "main": {
            "data": "sums",
            "model": "token-mlp",
            "init": "module",
            "steps": 30_000,
            "batch_size": 911,
            "optimizer": "adamw",
            "lr": 0.001,
            "momentum": 0.0,
            "weight_decay": 1.0,
            "milestones": [],
            "warmup_steps": 0,
            "augment": "none",
            "compat": None,
            "fractions": {"embedding": 0.6, "fc": 0.6, "output": 0.6},
        }
    },
}


def subjects(ending: str) -> set[str]:
    """The names of the presets with this ending, without it."""
    return {name.removesuffix(ending) for name in RAW if name.endswith(ending)}


def fixed(raw: dict[str, Any], name: str) -> dict[str, Any]:
    """What a source says of a task and of how its masks are cut."""
    task = raw["tasks"][name]
    train = task["train"]
    return {
        "data": task["data"],
        "model": task["model"]["name"],
        "init": task["model"]["init"],
        "steps": train["steps"]
        or train["epochs"] * (FACTS[task["data"]].num_train // train["batch_size"]),
        **{key: train[key] for key in ("batch_size", "optimizer", "lr", "momentum")},
        "weight_decay": train["weight_decay"],
        "milestones": train["schedule"]["milestones"],
        "warmup_steps": train["schedule"]["warmup_steps"],
        "augment": train["augment"],
        "compat": task["compat"],
    }


def fractions(raw: dict[str, Any]) -> dict[str, float | None]:
    """What the variants with masks of their own remove per round, of which all agree.

    {} where they leave it to the training.
    """
    prunes = [variant["prune"] for variant in raw["variants"].values()]
    found = [prune["fraction"] for prune in prunes if prune["mask"] == "own"]
    whole = (0, None)  # a variant may keep what others prune
    assert all(
        q in (*whole, found[0][kind]) for one in found for kind, q in (one or {}).items()
    )
    return dict(found[0] or {})


def recipes(raw: dict[str, Any]) -> set[str]:
    """The variants, without the numbers that a quick preset may change."""
    return {
        json.dumps(
            {key: variant["prune"][key] for key in ("transform", "schedule", "criterion")}
            | {"scope": variant["prune"]["scope"], "own": variant["prune"]["mask"] == "own"}
            | {key: variant["rewind"][key] for key in ("to", "draw", "pruned")}
        )
        for variant in raw["variants"].values()
    }


def test_a_papers_preset_and_its_quick_one_come_in_pairs() -> None:
    papers, quicks = subjects("-paper"), subjects("-quick")
    assert quicks - papers == QUICK_ONLY
    assert papers - quicks == PAPER_ONLY
    assert {f"{name}-paper" for name in papers} | {f"{name}-quick" for name in quicks} == (
        RAW.keys() - UNPAIRED
    )


@pytest.mark.parametrize("name", presets.names())
def test_a_preset_is_an_experiment_of_its_own_name_and_says_what_it_is(name: str) -> None:
    assert RAW[name]["experiment"] == name
    assert presets.text_of(name).startswith("# ")
    assert 20 < len(presets.description(name)) <= 105


@pytest.mark.parametrize("subject", sorted(subjects("-paper")))
def test_a_papers_preset_has_the_settings_of_its_source(subject: str) -> None:
    raw = RAW[f"{subject}-paper"]
    removed = {"fractions": fractions(raw)}
    assert {name: fixed(raw, name) | removed for name in raw["tasks"]} == SOURCES[subject]


@pytest.mark.parametrize("name", presets.names())
def test_a_preset_can_judge_published_claims_or_says_that_it_gives_no_verdicts(
    name: str,
) -> None:
    found = prospects.prospects(params.parse(RAW[name]), params.completed(RAW[name]))
    can = [one.claim.id for one in found if not one.obstacle]
    assert bool(can) is ("no verdicts" not in presets.description(name))


CUT = ("steps", "milestones", "warmup_steps")
SMALLER = {"model": "resnet-8", "batch_size": 64}
"""instead of ResNet-20, whose steps take six times as long"""
FASTER = {"grok-addition": {"lr": 0.01}}
"""ten times the rate takes a third of the steps"""


@pytest.mark.parametrize("subject", sorted(subjects("-quick") & subjects("-paper")))
def test_a_quick_preset_keeps_the_protocol_of_the_papers(subject: str) -> None:
    paper, quick = RAW[f"{subject}-paper"], RAW[f"{subject}-quick"]
    assert recipes(quick) == recipes(paper)
    assert quick["rounds"] <= paper["rounds"]
    for name in paper["tasks"]:
        full, short = fixed(paper, name), fixed(quick, name)
        smaller = SMALLER if full["model"] == "resnet-20" else {}
        assert short["steps"] < full["steps"]
        other = smaller | FASTER.get(subject, {})
        assert short | {key: full[key] for key in CUT} == full | other
        for key in ("milestones", "warmup_steps"):
            share = (
                np.divide(short[key], short["steps"]),
                np.divide(full[key], full["steps"]),
            )
            np.testing.assert_allclose(*share, atol=0.002)


@pytest.mark.parametrize("subject", sorted(subjects("-quick") & subjects("-paper")))
def test_a_round_of_a_quick_preset_is_a_number_of_the_papers_rounds(subject: str) -> None:
    paper, quick = (fractions(RAW[f"{subject}-{kind}"]) for kind in ("paper", "quick"))
    assert quick.keys() == paper.keys()
    pairs = [(quick[kind], paper[kind]) for kind in paper]
    found = {q: np.log1p(-q) / np.log1p(-p) for q, p in pairs if p and q}
    rounds = {round(number) for number in found.values()}
    assert len(rounds) == bool(paper)
    for q, number in found.items():
        assert abs(number - round(number)) < 0.01, f"{q} is {number:.3f} rounds"
    assert all(q == p for q, p in pairs if not p)


@pytest.mark.parametrize("subject", sorted(subjects("-quick")))
def test_a_quick_preset_is_forecast_to_take_25_minutes_at_most_on_two_cores(
    subject: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    settings = params.parse(RAW[f"{subject}-quick"] | {"workers": 2})
    current = compiler.compile_plan(settings, [settings.seeds])
    assert forecast.forecast(settings, current, on_disk(current)).seconds <= 25 * 60
