"""Export writes a ticket as one file that plain torch reads."""

from pathlib import Path

import numpy as np
import pytest
from helpers.command import refused, run
from helpers.experiment import SEEDS, raw, settings, write

from pipeline.artifacts import files, paths
from pipeline.artifacts.files import ArtifactError
from pipeline.artifacts.paths import Instance
from pipeline.config.settings import Settings
from pipeline.core.digests import digest
from pipeline.inspect import export
from pipeline.inspect.export import ExportError, Ticket
from pipeline.plan import compiler
from pipeline.plan.items import Plan

TICKET = Instance(task="main", variant="ticket", round=2, seeds=SEEDS)

pytestmark = pytest.mark.usefixtures("experiment_root")


def plan_of(asked: Settings) -> Plan:
    return compiler.compile_plan(asked, [SEEDS])


def exported(
    out: Path, name: str = "ticket", round: int = 2, seed: int = 1
) -> dict[str, object]:
    ticket = Ticket(name=name, round=round, seed=seed)
    return export.export(settings(), plan_of(settings()), ticket, out)[0]


def test_the_file_loads_in_plain_torch(tmp_path: Path) -> None:
    import torch
    from safetensors.torch import load_file
    from torch import nn

    out = tmp_path / "ticket.safetensors"
    exported(out)

    ticket = load_file(out)
    weights = {n: t for n, t in ticket.items() if not n.startswith("mask.")}
    masks = {n.removeprefix("mask."): t for n, t in ticket.items() if n not in weights}

    network = nn.Sequential()
    network.add_module("flatten", nn.Flatten())
    network.add_module("fc1", nn.Linear(64, 8))
    network.add_module("relu", nn.ReLU())
    network.add_module("fc2", nn.Linear(8, 10))
    network.load_state_dict(weights)

    theta0 = files.load_weights(paths.theta0_folder("main", SEEDS), 1)
    images = np.linspace(-1, 1, 3 * 64, dtype=np.float32).reshape(3, 1, 8, 8)
    first = theta0["fc1.weight"] * masks["fc1.weight"].numpy()
    second = theta0["fc2.weight"] * masks["fc2.weight"].numpy()
    hidden = np.maximum(images.reshape(3, 64) @ first.T + theta0["fc1.bias"], 0)
    expected = hidden @ second.T + theta0["fc2.bias"]
    with torch.no_grad():
        found = network(torch.from_numpy(images)).numpy()
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)
    assert {name: mask.dtype for name, mask in masks.items()} == {
        "fc1.weight": torch.bool,
        "fc2.weight": torch.bool,
    }
    assert {name: int(mask.sum()) for name, mask in masks.items()} == {
        "fc1.weight": 251,
        "fc2.weight": 58,
    }


def test_the_file_says_where_it_comes_from(tmp_path: Path) -> None:
    out = tmp_path / "ticket.safetensors"
    facts = exported(out)
    assert files.load_facts(out) == facts
    theta0 = files.load_weights(paths.theta0_folder("main", SEEDS), 1)
    start = files.load_weights(paths.starts_folder(TICKET), 1)
    mask = files.load_mask(paths.masks_folder(TICKET), 1)
    assert facts == {
        "task": "main",
        "variant": "ticket",
        "round": 2,
        "seed": 1,
        "density": (251 + 58) / 592,
        "pruned": "zero",
        "theta0": digest(theta0),
        "weights": digest(start),
        "mask": digest(mask),
        "generator": "numpy Philox, pipeline.core.seeding",
        "numpy": np.__version__,
    }


def test_exporting_twice_gives_the_same_bytes(tmp_path: Path) -> None:
    exported(tmp_path / "1")
    exported(tmp_path / "2")
    assert (tmp_path / "1").read_bytes() == (tmp_path / "2").read_bytes()


@pytest.mark.parametrize("name", ["reinit", "main/reinit", "random-mask", "one-shot"])
def test_any_variant_can_be_exported(name: str, tmp_path: Path) -> None:
    facts = exported(tmp_path / "file", name=name, round=1, seed=0)
    assert facts["variant"] == name.removeprefix("main/")


@pytest.mark.parametrize(
    ("name", "round", "seed"),
    [
        ("tickets", 1, 0),
        ("other/ticket", 1, 0),
        ("ticket", 0, 0),
        ("ticket", 3, 0),
        ("ticket", 1, 2),
        ("ticket", 1, -1),
        ("", 1, 0),
    ],
)
def test_an_unknown_ticket_is_refused_with_those_that_there_are(
    name: str, round: int, seed: int, tmp_path: Path
) -> None:
    with pytest.raises(ExportError) as caught:
        exported(tmp_path / "file", name=name, round=round, seed=seed)
    assert str(caught.value) == (
        f"no ticket of {name}, round {round}, seed {seed}; there are variants ticket, "
        "one-shot, reinit, random-mask, rounds 1 to 2, seeds 0, 1"
    )
    assert not (tmp_path / "file").exists()


def test_a_variant_of_two_tasks_needs_its_task(tmp_path: Path) -> None:
    value = raw()
    ticket = value["variants"]["ticket"] | {"tasks": ["main", "b"]}
    asked = settings(
        tasks={"main": value["tasks"]["main"], "b": value["tasks"]["main"]},
        variants={"ticket": ticket},
    )
    named = Ticket(name="ticket", round=1, seed=0)
    with pytest.raises(ExportError) as caught:
        export.export(asked, plan_of(asked), named, tmp_path / "file")
    assert str(caught.value) == (
        "ticket is run on the tasks b, main; name one of them: b/ticket"
    )
    one = Ticket(name="main/ticket", round=1, seed=0)
    facts, _ = export.export(asked, plan_of(asked), one, tmp_path / "file")
    assert facts["task"] == "main"


@pytest.mark.parametrize("out", ["missing/file", "."])
def test_a_place_that_cannot_be_written_is_refused(out: str, tmp_path: Path) -> None:
    message = r" cannot be written; name a file in a folder that exists as --out"
    with pytest.raises(ExportError, match=message):
        exported(tmp_path / out)


def test_a_start_of_another_mask_is_refused(tmp_path: Path) -> None:
    folder = paths.masks_folder(TICKET)
    path = paths.seed_file(folder, 1)
    mask = files.load_arrays(path)
    mask["fc1.weight"][...] = True
    files.save_arrays(path, mask)
    with pytest.raises(
        ArtifactError, match=r"does not fit its mask; run `lt-pipeline verify`"
    ):
        exported(tmp_path / "file")
    assert not (tmp_path / "file").exists()


def test_the_command_writes_the_file_below_the_folder_it_is_called_from(
    experiment_root: Path,
) -> None:
    folder = experiment_root / "notes"
    folder.mkdir()
    ended = run(folder, "export", "--round", "2", "--seed", "1", "--out", "t.safetensors")
    assert (ended.code, ended.errors) == (0, "")
    theta0 = files.load_facts(folder / "t.safetensors")["theta0"]
    assert ended.output == (
        f"{folder}/t.safetensors: density 0.5220, theta0 {theta0[:12]}\n"
    )


def test_the_command_refuses_in_one_line(experiment_root: Path) -> None:
    message = refused(experiment_root, "export", "--round", "9", "--out", "t")
    assert message.startswith("no ticket of ticket, round 9, seed 0; there are variants ")


def test_a_round_that_was_never_run_is_one_line(experiment_root: Path) -> None:
    write(experiment_root, rounds=3)
    message = refused(experiment_root, "export", "--round", "3", "--out", "t")
    assert message.endswith("is missing; run `dvc repro` (or `dvc pull`)")
