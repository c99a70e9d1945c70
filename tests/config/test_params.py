"""Any params.yaml becomes settings, or is refused with one line that says what to do."""

import json
import re
import sys
from pathlib import Path

import pytest
from helpers.command import listing, run
from helpers.experiment import APPROXIMATION, INSTABILITY, edited, link_code, raw, settings
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from pipeline.border.user_code import CodeError
from pipeline.config import own_code, params
from pipeline.config.params import ParamsError
from pipeline.config.settings import Settings
from pipeline.config.yaml_shape import MAX_VALUES
from pipeline.core.training.settings import for_scores

TRAIN = "tasks__main__train__"
TICKET = "variants__ticket__"
REINIT = "variants__reinit__"
GLOBAL = "variants__ticket__prune__scope"
FRACTION = "variants__ticket__prune__fraction"
FINE_TUNE = {"to": "fine-tune", "step": 1, "draw": None, "pruned": "zero"}
SCORED = {
    "mask": "own",
    "schedule": "edge-popup",
    "scope": "layerwise",
    "fraction": {"fc": 0.3, "output": 0.15},
}
FROZEN = {"to": "theta0", "step": None, "draw": None, "pruned": "freeze-init"}


def refused(**changes: object) -> str:
    """The message that refuses these changes, without the file's name."""
    with pytest.raises(ParamsError) as caught:
        settings(**changes)
    return one_line(caught.value)


def refused_text(text: str, root: Path) -> str:
    """The message that refuses a file with this text."""
    (root / "params.yaml").write_bytes(text.encode("utf-8", "surrogatepass"))
    with pytest.raises(ParamsError) as caught:
        params.load(root)
    return one_line(caught.value)


def one_line(error: ParamsError) -> str:
    message = str(error)
    assert len(message.splitlines()) == 1
    assert message.startswith("params.yaml")
    return message.removeprefix("params.yaml").removeprefix(": ")


def without(path: str) -> dict[str, object]:
    """The settings without one key."""
    value = raw()
    *parents, last = path.split("__")
    place = value
    for parent in parents:
        place = place[parent]
    del place[last]
    return value


def test_valid_settings_are_read(tmp_path: Path) -> None:
    (tmp_path / "params.yaml").write_text(json.dumps(raw()))
    found = params.load(tmp_path)
    assert found == settings()
    assert found.seeds == (0, 1)
    assert found.tasks["main"].model.widths == (8,)
    assert found.variants["ticket"].prune.fraction == {"fc": 0.3, "output": 0.15}
    assert not found.variants["reinit"].prune.own


# Keys


def test_an_unknown_key_is_refused_with_the_nearest_and_the_known_ones() -> None:
    assert refused(sed=[0]) == (
        "unknown key sed; did you mean seeds? "
        "(the file has experiment, rounds, seeds, looks, workers, data, datasets, tasks, "
        "variants, "
        "analyses, approximations)"
    )


@pytest.mark.parametrize(
    ("path", "meant"),
    [
        ("tasks.main.train.learning_rate", "lr"),
        ("tasks.main.train.num_epochs", "epochs"),
        ("tasks.main.train.batchsize", "batch_size"),
        ("tasks.main.network", "model"),
        ("tasks.main.arch", "model"),
        ("tasks.main.dataset", "data"),
        ("variants.ticket.pruning", "prune"),
        ("variants.ticket.prune.sparsity", "fraction"),
        ("variants.ticket.prune.pruning_rate", "fraction"),
        ("replicates", "seeds"),
    ],
)
def test_an_unknown_key_is_spelled_like_one_or_means_what_its_sentence_says(
    path: str, meant: str
) -> None:
    message = refused(**{path.replace(".", "__"): 0})
    assert message.startswith(f"unknown key {path}; did you mean {meant}? (")


def test_no_key_is_suggested_where_none_is_like_it() -> None:
    message = refused(tasks__main__train__num_workers=2)
    assert message.startswith("unknown key tasks.main.train.num_workers (tasks.main.train ")


@pytest.mark.parametrize(
    "path",
    ["rounds", "tasks__main__data", "tasks__main__train__lr", "variants__ticket__rewind"],
)
def test_a_missing_key_is_named_by_its_path(path: str) -> None:
    with pytest.raises(ParamsError) as caught:
        params.parse(without(path))
    assert one_line(caught.value) == (
        f"{path.replace('__', '.')} is missing; `lt-pipeline params "
        f"{path.replace('__', '.')}` says what to write"
    )


@pytest.mark.parametrize("value", [None, [], "ticket", 3])
def test_a_value_instead_of_keys_is_refused(value: object) -> None:
    shown = "null" if value is None else value
    assert refused(variants__ticket__rewind=value) == (
        "variants.ticket.rewind must have the keys to, step, task, draw, pruned; "
        f"found {shown}"
    )


@pytest.mark.parametrize("key", [1, 1.5, True, None])
def test_a_key_that_is_no_text_is_refused(key: object) -> None:
    value = raw()
    value["tasks"][key] = value["tasks"]["main"]
    with pytest.raises(ParamsError) as caught:
        params.parse(value)
    shown = "null" if key is None else key
    assert one_line(caught.value) == (
        f"tasks has the key {shown}, which is no text; names begin with a letter"
    )


# Types and single values


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("rounds", "two", 'the text "two" found; give a whole number, without quotes'),
        ("rounds", True, "True found; give a whole number"),
        ("rounds", 2.5, "2.5 found; give a whole number"),
        ("rounds", None, "null found; give a whole number"),
        ("seeds", 3, "3 found; write a list in [ ]"),
        ("workers", "all", 'the text "all" found; give a whole number, without quotes'),
        ("experiment", 7, "7 found; write text, in quotes if it looks like a number"),
        ("data__download", 1, "1 found; write true or false"),
        ("variants__ticket__tasks", "main", 'the text "main" found; write a list in [ ]'),
        ("tasks", [], "a list found; write names with their settings below them"),
        (TRAIN + "lr", "fast", 'the text "fast" found; give a number, without quotes'),
        (TRAIN + "lr", True, "True found; give a number"),
    ],
)
def test_a_wrong_type_is_refused_with_what_was_found(
    path: str, value: object, message: str
) -> None:
    assert refused(**{path: value}) == f"{path.replace('__', '.')}: {message}"


def test_an_unknown_optimizer_is_refused() -> None:
    said = "tasks.main.train: unknown optimizer: rmsprop (known: sgd, adam, adamw, sign-in)"
    assert refused(**{TRAIN + "optimizer": "rmsprop"}) == said


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("rounds", 0, "rounds: 0 found; give 1 to 99 pruning rounds"),
        ("rounds", -1, "rounds: -1 found; give 1 to 99 pruning rounds"),
        ("rounds", 100, "rounds: 100 found; give 1 to 99 pruning rounds"),
        ("seeds", [], "seeds: none given; write at least one, such as [0]"),
        ("seeds", [0, 1, 0], "seeds: 0 stands there twice; each seed is one replicate"),
        ("seeds", [0, -1], "seeds: -1 found; a seed is 0 or more"),
        ("workers", 0, "workers: 0 found; give 1 or more, or null for all cores"),
        ("experiment", " ", "experiment: an MLflow experiment needs a name"),
        ("tasks", {}, "tasks: none given; write at least one"),
        (
            TRAIN + "lr",
            0,
            "tasks.main.train: lr is 0.0; give a finite number above 0",
        ),
        (
            TRAIN + "momentum",
            1,
            "tasks.main.train: momentum is 1.0; give a number in [0, 1)",
        ),
        (TRAIN + "batch_size", 0, "tasks.main.train: batch_size is 0; give 1 or more"),
        (
            TRAIN + "epochs",
            1,
            "tasks.main.train: steps is 2 and epochs is 1; give exactly one of them, and "
            "null or nothing for the other",
        ),
        (
            TRAIN + "device",
            "gpu",
            "tasks.main.train: device is 'gpu'; write cpu, cuda, or cuda:N",
        ),
        (
            TRAIN + "batch_size",
            1198,
            "tasks.main.train.batch_size: 1198 is more than the 1197 training examples of "
            "digits",
        ),
        (
            TRAIN + "evaluate_every",
            3,
            "tasks.main.train.evaluate_every: 3 is more than the 2 steps of the training",
        ),
        (
            TRAIN + "schedule",
            {"warmup_steps": 2},
            "tasks.main.train.schedule.warmup_steps: 2 found; the training has 2 steps, so "
            "that the rate never reaches lr; give fewer",
        ),
        (
            TRAIN + "schedule",
            {"name": "milestones", "milestones": [1, 2, 3], "gamma": 0.1},
            "tasks.main.train.schedule.milestones: 2 found; the training has 2 steps and "
            "ends before it; give smaller ones, or leave it out",
        ),
        (
            FRACTION,
            {"fc": 1.0, "output": 0.1},
            "variants.ticket.prune.fraction.fc: 1.0 found; it is the fraction removed per "
            "round, in (0, 1), 0 for none, or null",
        ),
        (
            FRACTION,
            {"fc": 0.2, "output": -0.1},
            "variants.ticket.prune.fraction.output: -0.1 found; it is the fraction removed "
            "per round, in (0, 1), 0 for none, or null",
        ),
        (
            FRACTION,
            {"fc": 0, "output": None},
            "variants.ticket.prune.fraction: nothing would be pruned; give a kind a value "
            "above 0",
        ),
        (
            FRACTION,
            {"fc": 0.2},
            "variants.ticket.prune.fraction: mlp of task main has output weights; give "
            "output a fraction (0 keeps them, null leaves them out of the count)",
        ),
        (
            FRACTION,
            {"conv": 0.2, "fc": 0, "output": None},
            "variants.ticket.prune.fraction: no kind of layer of mlp would be pruned",
        ),
        (
            GLOBAL,
            "global",
            "variants.ticket.prune.fraction: global scope pools the layers, so one "
            "fraction is needed; found [0.15, 0.3]",
        ),
        (
            REINIT + "rewind__draw",
            None,
            "variants.reinit.rewind.draw: null found; number the draw: 0, 1, …",
        ),
        (
            TICKET + "rewind__draw",
            0,
            "variants.ticket.rewind.draw: theta0 draws nothing; write null",
        ),
        (
            TICKET + "rewind__step",
            1,
            "variants.ticket.rewind.step: theta0 starts at step 0; write null (a step is "
            "for early, early-sign-reinit, fine-tune, taken, trained)",
        ),
        (
            TICKET + "rewind",
            {"to": "early", "step": None, "draw": None, "pruned": "zero"},
            "variants.ticket.rewind.step: null found; early needs the step to rewind to",
        ),
        (
            TICKET + "rewind",
            {"to": "early", "step": 2, "draw": None, "pruned": "zero"},
            "variants.ticket.rewind.step: 2 found; the training of task main has 2 steps: "
            "give 1 to 1, or theta0 for step 0",
        ),
        (
            TICKET + "rewind",
            {"to": "early", "step": 0, "draw": None, "pruned": "zero"},
            "variants.ticket.rewind.step: 0 found; the training of task main has 2 steps: "
            "give 1 to 1, or theta0 for step 0",
        ),
        (
            TICKET + "rewind",
            {"to": "trained", "step": -1, "draw": None, "pruned": "zero"},
            "variants.ticket.rewind.step: -1 found; the training of task main has 2 "
            "steps: give 1 to 1, or null for step 0",
        ),
        (
            TICKET + "rewind",
            {"to": "early", "step": 1, "draw": 0, "pruned": "zero"},
            "variants.ticket.rewind.draw: early draws nothing; write null",
        ),
        (
            TICKET + "rewind",
            FINE_TUNE,
            "variants.ticket.rewind.to: the rate of task main stays the same from step 1 "
            "on, so that fine-tune is learning-rate rewinding; write trained",
        ),
        (
            TICKET + "rewind",
            FINE_TUNE | {"step": None},
            "variants.ticket.rewind.to: the rate of task main stays the same from step 0 "
            "on, so that fine-tune is learning-rate rewinding; write trained",
        ),
        (
            TICKET + "rewind",
            FINE_TUNE | {"to": "trained", "pruned": "freeze-init"},
            "variants.ticket.rewind.pruned: freeze-init freezes weights at theta0, but "
            "trained goes on from later ones; write zero, or a start of step 0 such as "
            "theta0",
        ),
        (
            TICKET + "rewind",
            FINE_TUNE | {"to": "early", "pruned": "freeze-init-zero-all"},
            "variants.ticket.rewind.pruned: freeze-init-zero-all freezes weights at "
            "theta0, but early goes on from later ones; write zero, or a start of step 0 "
            "such as theta0",
        ),
        (
            TICKET + "rewind",
            {"to": "reinit", "step": None, "draw": 0, "pruned": "freeze-init-zero-mask"},
            "variants.ticket.rewind.pruned: freeze-init-zero-mask asks what training made "
            "of theta0, which only a variant with prune.mask: own and rewind.to: theta0 "
            "knows; write freeze-init",
        ),
        (
            "variants__random-mask__rewind__pruned",
            "freeze-init-zero-all",
            "variants.random-mask.rewind.pruned: freeze-init-zero-all asks what training "
            "made of theta0, which only a variant with prune.mask: own and rewind.to: "
            "theta0 knows; write freeze-init",
        ),
    ],
)
def test_an_impossible_value_is_refused(path: str, value: object, message: str) -> None:
    assert refused(**{path: value}) == message


def test_a_schedule_fits_into_the_steps_of_its_epochs() -> None:
    train = raw()["tasks"]["main"]["train"] | {"steps": None, "epochs": 1}
    last = {"schedule": {"warmup_steps": 36}}  # 37 batches of 32
    settings(tasks__main__train=train | last)
    message = refused(tasks__main__train=train | {"schedule": {"warmup_steps": 100_000}})
    assert message.startswith(
        "tasks.main.train.schedule.warmup_steps: 100000 found; the training has 37 steps"
    )


def test_a_schedule_of_scores_fits_into_the_training() -> None:
    drops = {"name": "milestones", "milestones": [2], "gamma": 0.1}
    scores = {"optimizer": "sgd", "lr": 0.1, "schedule": drops}
    message = refused(**{TICKET + "prune": SCORED | {"scores": scores}})
    assert message.startswith(
        "variants.ticket.prune.scores.schedule.milestones: 2 found; the training has 2"
    )


@pytest.mark.parametrize(
    ("optimizer", "betas"), [("sgd", None), ("adam", (0.5, 0.9)), ("adamw", (0.5, 0.9))]
)
def test_the_betas_of_a_task_are_those_of_scores_whose_optimizer_has_some(
    optimizer: str, betas: tuple[float, float] | None
) -> None:
    adam = {"optimizer": "adam", "momentum": 0, "betas": [0.5, 0.9]}
    train = raw()["tasks"]["main"]["train"] | adam
    scored = SCORED | {"scores": {"optimizer": optimizer, "lr": 0.1}}
    known = settings(tasks__main__train=train, **{TICKET + "prune": scored})
    prune = known.variants["ticket"].prune
    assert for_scores(known.tasks["main"].train, prune.scores).betas == betas


def test_fine_tuning_needs_a_schedule_that_ends_above_0() -> None:
    cosine = {"name": "cosine", "milestones": [], "gamma": 1.0, "warmup_steps": 0}
    message = refused(
        variants__ticket__rewind=FINE_TUNE, tasks__main__train__schedule=cosine
    )
    assert message == (
        "variants.ticket.rewind.to: the cosine schedule of task main ends at a rate of 0, "
        "at which nothing is fine-tuned; give the task milestones"
    )


def test_fine_tuning_from_before_the_last_milestone_is_read() -> None:
    drop = {"name": "milestones", "milestones": [2], "gamma": 0.1, "warmup_steps": 0}
    task = {"tasks__main__train__steps": 4, "tasks__main__train__schedule": drop}
    found = settings(variants__ticket__rewind=FINE_TUNE, **task)
    assert found.variants["ticket"].rewind.first_step == 1
    late = FINE_TUNE | {"step": 2}
    assert "stays the same from step 2 on" in refused(variants__ticket__rewind=late, **task)


@pytest.mark.parametrize("engine", ["sparse", "batched"])
def test_an_engine_that_cannot_freeze_is_refused(engine: str) -> None:
    message = refused(variants__ticket__rewind=FROZEN, tasks__main__train__engine=engine)
    assert message == (
        f"variants.ticket.rewind.pruned: task main: engine {engine} cannot hold pruned "
        "weights at other values than 0; give auto, or one of reference, dense"
    )


def test_augmentations_are_for_images_and_engines_that_have_them() -> None:
    crops = {"tasks__main__train__augment": "random-resized-crop"}
    settings(**crops)
    assert refused(**crops, tasks__main__train__engine="dense") == (
        "tasks.main.train.engine: engine dense cannot change training images by anything "
        "but flip-crop; give auto, or one of reference"
    )
    sums = {
        "datasets": {"sums": {"arithmetic": {"operation": "x + y", "modulus": 31}}},
        "tasks__main__data": "sums",
        "tasks__main__model": {"name": "token-mlp", "widths": [8, 8], "init": "module"},
    }
    assert refused(**crops, **sums) == (
        "tasks.main.train.augment: random-resized-crop changes images, and sums has "
        "sequences of 4 out of 33 tokens; give none"
    )


def test_gradual_pruning_freezes_nothing() -> None:
    assert refused(
        variants__ticket__rewind=FROZEN, variants__ticket__prune__schedule="gradual"
    ) == (
        "variants.ticket.rewind.pruned: gradual pruning sets to 0 what it prunes; write "
        "zero"
    )


@pytest.mark.parametrize(
    ("path", "value", "start"),
    [
        (
            "tasks__main__data",
            "mnits",
            "tasks.main.data: unknown: mnits; did you mean mnist? (known: digits, mnist,",
        ),
        (
            "tasks__main__model__name",
            "lenet",
            "tasks.main.model.name: unknown: lenet",
        ),
        (
            "tasks__main__model__init",
            "glorot",
            "tasks.main.model.init: unknown: glorot; did you mean glorot-normal?",
        ),
        (
            TICKET + "prune__criterion",
            "magnitud",
            "variants.ticket.prune.criterion: unknown: magnitud; did you mean magnitude?",
        ),
        (
            "variants__random-mask__prune__transform",
            "shufle",
            "variants.random-mask.prune.transform: unknown: shufle; did you mean shuffle?",
        ),
        (
            REINIT + "tasks",
            ["man"],
            "variants.reinit.tasks: unknown: man; did you mean main? (known: main)",
        ),
    ],
)
def test_an_unknown_name_is_refused_with_the_nearest_one(
    path: str, value: object, start: str
) -> None:
    assert refused(**{path: value}).startswith(start)


# Models and images


def test_widths_beside_a_named_model_are_refused() -> None:
    assert refused(tasks__main__model__name="lenet-300-100") == (
        "tasks.main.model: lenet-300-100 has widths of its own; for (8,) "
        "take model mlp or cnn"
    )


def test_an_mlp_without_widths_is_refused() -> None:
    assert refused(tasks__main__model__widths=None).startswith(
        "tasks.main.model: mlp needs the widths of its hidden layers"
    )


def test_layer_records_of_the_users_need_an_init_that_draws_them_and_no_widths(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "layernets.py").write_text(
        "from pipeline.core import models\n"
        "def build(data):\n"
        "    return models.build('mlp', widths=(8,), data=data)\n"
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    model = {"import": "layernets:build"}
    assert refused(tasks__main__model=model | {"widths": [8]}) == (
        "tasks.main.model.widths: an imported function takes none; remove them, or give "
        "them under options"
    )
    for asked in (model, model | {"init": "module"}):
        assert refused(tasks__main__model=asked) == (
            "tasks.main.model.init: layernets:build gives layer records, which do not draw "
            "their weights themselves (init: module); write glorot-normal, kaiming-normal "
            "or southampton"
        )
    settings(tasks__main__model=model | {"init": "kaiming-normal"})


def test_layer_records_of_the_users_that_do_not_fit_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "widenets.py").write_text(
        "from pipeline.core.models.layers import Flatten, Linear\n"
        "def build(data, inputs):\n"
        "    output = Linear(name='output', inputs=10, outputs=10, kind='output')\n"
        "    return (Flatten(), Linear(name='fc', inputs=inputs, outputs=10), output)\n"
        "def mixed(data):\n"
        "    return (Flatten(), len)\n"
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    model = {"import": "widenets:build", "init": "kaiming-normal"}
    wide = settings(tasks__main__model=model | {"options": {"inputs": 70}})
    with pytest.raises(CodeError) as caught:  # by the plan, which may import torch
        own_code.try_networks(wide)
    assert str(caught.value).startswith(
        "params.yaml: tasks.main.model: widenets:build: its Linear fc does not take its "
    )
    assert refused(tasks__main__model=model | {"import": "widenets:mixed"}).startswith(
        "tasks.main.model: widenets:mixed: one of its layers is <built-in function len>"
    )


def test_a_model_that_does_not_fit_the_images_is_refused() -> None:
    model = {"name": "vgg-11", "widths": None, "init": "kaiming-normal"}
    assert re.match(
        r"tasks\.main\.model: vgg-11 halves its images \d times, and 8×8 pixels are ",
        refused(tasks__main__model=model),
    )


# Variants


GRADUAL = {"variants__ticket__prune__schedule": "gradual"}


def test_gradual_pruning_may_start_from_theta0_or_fresh_weights() -> None:
    settings(**GRADUAL)
    start = {"to": "reinit", "step": None, "draw": 0, "pruned": "zero"}
    settings(**GRADUAL, variants__ticket__rewind=start)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"variants__ticket__prune__criterion": "movement"},
            "variants.ticket.prune.criterion: movement found; gradual pruning ranks "
            "weights by magnitude while they train: write magnitude",
        ),
        (
            {"variants__ticket__rewind__to": "trained"},
            "variants.ticket.rewind.to: trained goes on from trained weights, but a "
            "gradual round is one training from its beginning; write theta0 or reinit",
        ),
        (
            {"variants__ticket__rewind__pruned": "freeze-init"},
            "variants.ticket.rewind.pruned: gradual pruning sets to 0 what it prunes; "
            "write zero",
        ),
        (
            {"tasks__main__train__engine": "sparse"},
            "variants.ticket.prune.schedule: task main: engine sparse cannot change its "
            "mask while it trains; give auto, or one of reference, dense",
        ),
    ],
)
def test_settings_that_gradual_pruning_cannot_do_are_refused(
    changes: dict[str, object], message: str
) -> None:
    assert refused(**(GRADUAL | changes)) == message


def test_a_control_without_its_ticket_is_refused() -> None:
    variants = raw()["variants"]
    del variants["ticket"]
    assert refused(variants=variants) == (
        "variants.reinit.prune.mask: unknown: ticket "
        "(known: own, one-shot, reinit, random-mask): a control needs its ticket"
    )


def test_a_control_of_a_control_is_refused() -> None:
    assert refused(variants__reinit__prune__mask="random-mask") == (
        "variants.reinit.prune.mask: random-mask takes its own mask from ticket; "
        "name ticket"
    )


def test_a_control_on_a_task_that_its_ticket_does_not_run_on_is_refused() -> None:
    tasks = raw()["tasks"]
    changes = {"tasks": tasks | {"other": tasks["main"]}, REINIT + "tasks": ["other"]}
    assert refused(**changes) == (
        "variants.reinit.prune.mask: ticket is not run on task other"
    )


@pytest.mark.parametrize("key", ["schedule", "criterion", "scope", "fraction"])
def test_a_recipe_beside_a_taken_mask_is_refused(key: str) -> None:
    value = raw()["variants"]["ticket"]["prune"][key]
    assert refused(**{f"{REINIT}prune__{key}": value}) == (
        f"variants.reinit.prune.{key}: must be null, because the mask is taken from ticket"
    )


@pytest.mark.parametrize("key", ["schedule", "criterion", "scope", "fraction"])
def test_an_own_mask_without_its_recipe_is_refused(key: str) -> None:
    assert refused(**{f"{TICKET}prune__{key}": None}) == (
        f"variants.ticket.prune.{key}: null found; a variant with its own mask needs it"
    )


def test_a_transform_of_an_own_mask_is_refused() -> None:
    assert refused(variants__ticket__prune__transform="shuffle") == (
        "variants.ticket.prune.transform: only another variant's mask can be transformed"
    )


@pytest.mark.parametrize(
    ("tasks", "problem"),
    [
        ([], "none given; known tasks: main"),
        (["main", "main"], "a task stands there twice"),
    ],
)
def test_the_tasks_of_a_variant_are_some_and_different(
    tasks: list[str], problem: str
) -> None:
    message = refused(variants__ticket__tasks=tasks)
    assert message == f"variants.ticket.tasks: {problem}"


@pytest.mark.parametrize(
    "name", ["Ticket", "a.b", "1st", "a--b", "a b", "-a", "a/b", "", "ä"]
)
def test_a_name_that_makes_no_folder_and_no_stage_is_refused(name: str) -> None:
    variants = raw()["variants"]
    variants[name] = variants["ticket"]
    assert refused(variants=variants).startswith(
        f"variants.{name}: a name becomes a folder and a stage; begin with a letter"
    )


@pytest.mark.parametrize("name", ["my.data", "my data", "../x"])
def test_nothing_is_read_or_written_under_a_name_that_is_none(name: str) -> None:
    changes = {"datasets": {name: {"npz": "nowhere.npz"}}, "tasks__main__data": name}
    assert refused(**changes).startswith(f"datasets.{name}: a name becomes a folder")


@pytest.mark.parametrize(
    ("kind", "one"),
    [
        ("datasets", {"npz": "nowhere.npz"}),
        ("tasks", raw()["tasks"]["main"]),
        ("analyses", INSTABILITY),
        ("approximations", APPROXIMATION),
    ],
)
def test_every_kind_of_name_is_checked(kind: str, one: object) -> None:
    named = raw().get(kind, {}) | {"a.b": one}
    assert refused(**{kind: named}).startswith(f"{kind}.a.b: a name becomes a folder")


@pytest.mark.parametrize("name", ["dense", "own"])
def test_a_name_that_has_a_meaning_is_refused(name: str) -> None:
    variants = raw()["variants"]
    variants[name] = variants["ticket"]
    assert refused(variants=variants) == (
        f"variants.{name}: the name {name} is taken; choose another"
    )


def test_a_name_too_long_for_a_folder_is_refused() -> None:
    variants = raw()["variants"]
    variants["t" * 61] = variants["ticket"]
    assert "the name has more than 60 characters; shorten it" in refused(variants=variants)


def test_two_chains_that_would_share_their_stages_are_refused() -> None:
    value = raw()
    tasks = {"a": value["tasks"]["main"], "a-b": value["tasks"]["main"]}
    ticket = value["variants"]["ticket"]
    variants = {"c": ticket | {"tasks": ["a-b"]}, "b-c": ticket | {"tasks": ["a"]}}
    assert refused(tasks=tasks, variants=variants) == (
        "variants.b-c on task a and variants.c on task a-b are both called a-b-c; "
        "rename one of them"
    )


# YAML


def test_numbers_are_those_of_yaml_1_2(tmp_path: Path) -> None:
    text = json.dumps(raw()).replace('"lr": 0.1', '"lr": 1e-3')
    (tmp_path / "params.yaml").write_text(text)
    assert params.load(tmp_path).tasks["main"].train.lr == 0.001


ALL_KEYS = (
    "the file must have the keys experiment, rounds, seeds, looks, workers, data, "
    "datasets, tasks, variants, analyses, approximations"
)
NO_VALUE = "write text, a number, true, false or null"
TOO_LARGE = "found; give a number of at most 1,000,000,000"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", f"{ALL_KEYS}; found null"),
        ("# only a comment", f"{ALL_KEYS}; found null"),
        ("- rounds", f"{ALL_KEYS}; found ['rounds']"),
        (
            "rounds: 1\nrounds: 2",
            ' is not YAML: line 2: found duplicate key "rounds" with value "2" '
            '(original value: "1")',
        ),
        (
            "rounds:\n\t- 1",
            " is not YAML: line 2: found character '\\t' that cannot start any token",
        ),
        ("rounds: *nowhere", " is not YAML: line 1: found undefined alias 'nowhere'"),
        ("a: 1\n---\nb: 2", " is not YAML: line 2: but found another document"),
        (
            "rounds: !!bool x",
            " cannot be parsed ('x'); correct the value or put it in quotes",
        ),
        (
            "rounds: 2001-99-99",
            " cannot be parsed (month must be in 1..12); correct the value or put it in "
            "quotes",
        ),
        (
            "rounds: 2001-01-01",
            f"rounds: found datetime.date(2001, 1, 1), a date; {NO_VALUE}",
        ),
        ("rounds: !!set {a}", f"rounds: found {{'a'}}, a set; {NO_VALUE}"),
        ("rounds: .nan", f"rounds: nan {TOO_LARGE}"),
        ("rounds: -.inf", f"rounds: -inf {TOO_LARGE}"),
        ("rounds: 10000000000", f"rounds: 10000000000 {TOO_LARGE}"),
        (
            "experiment: |\n  two\n  lines",
            "experiment: two?lines has characters that cannot be printed (line breaks "
            "too); remove them",
        ),
        ('"a\\nb": 1', "the key a?b has characters that cannot be printed; remove them"),
        (
            "seeds: &seeds [*seeds]",
            f"there are more than {MAX_VALUES:,} values (through aliases?); write the "
            "settings out",
        ),
    ],
)
def test_odd_yaml_gets_one_line(text: str, message: str, tmp_path: Path) -> None:
    assert refused_text(text, tmp_path) == message


def test_aliases_of_aliases_do_not_fill_the_memory(tmp_path: Path) -> None:
    rows = ["a0: &a0 [0, 0, 0, 0, 0, 0, 0, 0, 0]"]
    rows += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]" for i in range(1, 20)]
    assert "more than 5,000 values" in refused_text("\n".join(rows), tmp_path)


def test_an_alias_used_twice_is_fine(tmp_path: Path) -> None:
    text = json.dumps(raw()).replace('"draw": 0', '"draw": &zero 0')
    (tmp_path / "params.yaml").write_text(text.replace('"seeds": [0', '"seeds": [&z 0'))
    assert params.load(tmp_path) == settings()


@pytest.mark.parametrize("text", ["[" * 5000, "9" * 5000, "a: \ud800", "\x00", "\ufeff"])
def test_junk_gets_one_line(text: str, tmp_path: Path) -> None:
    refused_text(text, tmp_path)


def test_a_missing_file_says_how_to_get_one(tmp_path: Path) -> None:
    with pytest.raises(ParamsError) as caught:
        params.load(tmp_path)
    assert str(caught.value) == (
        "params.yaml is missing; write one with `lt-pipeline use PRESET`"
    )


def test_a_folder_in_its_place_is_refused(tmp_path: Path) -> None:
    (tmp_path / "params.yaml").mkdir()
    with pytest.raises(ParamsError, match=r"params\.yaml cannot be read: .*directory"):
        params.load(tmp_path)


# Anything at all

ODD = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.sampled_from([0, 1, -1, 2**31, 10**9, 10**400, 1e-3, 0.5, 1.0, 1e308]),
    st.floats(),
    st.text(max_size=8),
    st.sampled_from(["main", "ticket", "own", "mnist", "conv-2", "mlp", "global", "adam"]),
)
VALUES = st.recursive(
    ODD,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=5,
)


@st.composite
def mutated(draw: st.DrawFn) -> dict[str, object]:
    """The valid settings with one to three nodes dropped, renamed, or replaced."""
    value = raw()
    for _ in range(draw(st.integers(1, 3))):
        place = value
        key = draw(st.sampled_from(sorted(place)))
        while isinstance(place[key], dict) and place[key] and draw(st.integers(0, 4)):
            place = place[key]
            key = draw(st.sampled_from(sorted(place, key=str)))
        what = draw(st.sampled_from(["drop", "rename", "replace", "replace", "replace"]))
        old = place.pop(key)
        if what == "rename":
            place[draw(st.text(max_size=8))] = old
        elif what == "replace":
            place[key] = draw(VALUES)
        if not value:
            break
    return value


def settings_or_one_line(root: Path) -> Settings | None:
    try:
        return params.load(root)
    except ParamsError as error:
        one_line(error)
        return None


@pytest.fixture(scope="module")
def somewhere(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("params")


@hypothesis_settings(max_examples=150)
@given(value=mutated())
def test_changed_settings_are_accepted_or_refused_in_one_line(
    value: dict[str, object], somewhere: Path
) -> None:
    (somewhere / "params.yaml").write_text(json.dumps(value))
    settings_or_one_line(somewhere)


TEXT = json.dumps(raw(), indent=1).encode()


@hypothesis_settings(max_examples=200)
@given(
    start=st.integers(0, len(TEXT)),
    length=st.integers(0, 40),
    syntax=st.sampled_from([b"", b"!!int ", b"&a ", b"*a", b"<<: ", b"? ", b"\t", b"- "]),
    junk=st.binary(max_size=8),
)
def test_changed_bytes_are_accepted_or_refused_in_one_line(
    start: int, length: int, syntax: bytes, junk: bytes, somewhere: Path
) -> None:
    content = TEXT[:start] + syntax + junk + TEXT[start + length :]
    (somewhere / "params.yaml").write_bytes(content)
    settings_or_one_line(somewhere)


@hypothesis_settings(max_examples=100)
@given(text=st.text())
def test_any_text_is_refused_in_one_line(text: str, somewhere: Path) -> None:
    assert settings_or_one_line_of(text.encode("utf-8", "surrogatepass"), somewhere) is None


@hypothesis_settings(max_examples=100)
@given(junk=st.binary())
def test_any_bytes_are_refused_in_one_line(junk: bytes, somewhere: Path) -> None:
    assert settings_or_one_line_of(junk, somewhere) is None


def settings_or_one_line_of(content: bytes, root: Path) -> Settings | None:
    (root / "params.yaml").write_bytes(content)
    return settings_or_one_line(root)


@hypothesis_settings(max_examples=40)
@given(value=mutated())
def test_the_command_line_says_one_line_and_writes_nothing(
    value: dict[str, object], somewhere: Path
) -> None:
    root = somewhere / "cli"
    root.mkdir(exist_ok=True)
    link_code(root)
    (root / "dvc.yaml").touch()
    (root / "params.yaml").write_text(json.dumps(value))
    before = listing(root)
    ended = run(root, "plan")
    if ended.code == 0:
        assert ended.output.startswith("plan: ")
        (root / "pipeline/plan.json").unlink()
        return
    assert (ended.code, ended.output) == (2, "")
    assert ended.errors.startswith("lt-pipeline: params.yaml")
    assert len(ended.errors.splitlines()) == 1
    assert listing(root) == before


def test_an_unknown_start_is_refused_with_the_known_ones() -> None:
    message = refused(variants__reinit__rewind__to="reinint")
    assert message.startswith("variants.reinit.rewind.to: unknown: reinint; did you mean")
    assert "trained-sign-reinit" in message


OWN_STARTS = """
from pipeline.core.functions import declares
from pipeline.core.starts import Start

@declares(Start(draws=True))
def noisy(given):
    return given.theta0

@declares(Start(step="needed"))
def later(given):
    return given.early
"""


def with_start(function: str, root: Path) -> Settings:
    """Settings with a start of the user's, which only ``root`` leads to."""
    to = {"to": {"import": function}}
    return params.parse(edited(variants__reinit__rewind=to), root)


def test_defaults_ask_what_a_start_of_the_users_declares(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "path", list(sys.path))  # as in a stage: without the root
    (tmp_path / "yourstarts.py").write_text(OWN_STARTS)
    found = with_start("yourstarts:noisy", tmp_path)
    assert found.variants["reinit"].rewind.draw == 0
    with pytest.raises(ParamsError, match=r"variants\.reinit\.rewind\.step is missing"):
        with_start("yourstarts:later", tmp_path)


@pytest.mark.parametrize("ends", ["1 / 0", "raise SystemExit"])
def test_a_start_whose_module_cannot_be_imported_is_one_line(
    ends: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    (tmp_path / "yourbroken.py").write_text(ends)
    message = r"^params\.yaml: variants\.reinit\.rewind\.to: .* importing .* fails: "
    with pytest.raises(CodeError, match=message):
        with_start("yourbroken:start", tmp_path)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"experiment": "x" * 257},
            "experiment: the name has 257 characters, and MLflow takes 256; shorten it",
        ),
        (
            {FRACTION: {"fc": 0.2, "output": 0.1, "conv": 0.1}},
            "variants.ticket.prune.fraction.conv: 0.1 found; no network of main has conv "
            "weights, leave it out",
        ),
        (
            {FRACTION: {"fc": 0.2, "output": 0.9}, "rounds": 20},
            "variants.ticket.prune.fraction: round 3 would keep no weight of fc2.weight "
            "in task main; give a smaller fraction, or rounds: 2",
        ),
    ],
)
def test_what_would_crash_later_is_refused(
    changes: dict[str, object], message: str
) -> None:
    assert refused(**changes) == message


def test_a_name_that_begins_as_asked_is_nearer_than_one_that_resembles_it() -> None:
    assert "did you mean lenet-300-100?" in refused(tasks__main__model__name="lenet")


def test_what_dvc_cannot_read_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "params.yaml").write_text("tasks: {main: {model: {import: a.b:c}}}\n")
    with pytest.raises(ParamsError, match=r"^params\.yaml is not YAML to DVC: line 1: "):
        params.load(tmp_path)
