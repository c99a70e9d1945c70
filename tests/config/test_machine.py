"""Settings that this machine cannot run are refused before anything is planned."""

import pytest
import torch
from helpers.experiment import settings

from pipeline.config import machine
from pipeline.config.machine import MachineError

DEVICE = "tasks__main__train__device"
ENGINE = "tasks__main__train__engine"
WIDTHS = "tasks__main__model__widths"


def refused(**changes: object) -> str:
    with pytest.raises(MachineError) as caught:
        machine.refuse_impossible(settings(**changes))
    return str(caught.value)


@pytest.mark.parametrize(
    ("device", "num", "message"),
    [
        ("cuda", 0, "cuda found; torch finds no CUDA device here, write cpu"),
        ("cuda:7", 0, "cuda:7 found; torch finds no CUDA device here, write cpu"),
        ("cuda:7", 2, "cuda:7 found; there is cuda:0, cuda:1"),
    ],
)
def test_a_device_that_is_not_there_is_refused(monkeypatch, device, num, message):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: num > 0)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: num)
    changes = {DEVICE: device, ENGINE: "auto"}
    assert refused(**changes) == f"params.yaml: tasks.main.train.device: {message}"


def test_every_process_needs_a_device_of_its_own(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    changes = {DEVICE: "cuda", ENGINE: "auto", "tasks__main__train__processes": 3}
    assert refused(**changes) == (
        "params.yaml: tasks.main.train.processes: 3 found; there is cuda:0, cuda:1"
    )


@pytest.mark.parametrize("device", ["cuda", "cuda:1"])
def test_a_device_that_is_there_is_taken(monkeypatch, device):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    machine.refuse_impossible(settings(**{DEVICE: device, ENGINE: "auto"}))


def test_a_network_that_fits_in_no_memory_is_refused():
    message = refused(**{WIDTHS: [1_000_000, 1_000_000], "workers": 1})
    assert message.startswith("params.yaml: tasks.main.model: a training of its 1,000,0")
    assert message.endswith(" GB; take a smaller network")


def test_trainings_that_fit_one_by_one_only_are_refused(monkeypatch):
    monkeypatch.setattr(machine, "memory_bytes", lambda: 1_000_000_000)
    message = refused(**{WIDTHS: [8_000, 6_000], "workers": 2})
    assert "2 trainings at once" in message
    assert "write workers: 1, or take a smaller network" in message
    machine.refuse_impossible(settings(**{WIDTHS: [8_000, 6_000], "workers": 1}))


def test_the_memory_of_a_container_counts(monkeypatch, tmp_path):
    limit = tmp_path / "memory.max"
    monkeypatch.setattr(machine, "_LIMIT", limit)
    whole = machine.memory_bytes()
    limit.write_text("max\n")
    assert machine.memory_bytes() == whole
    limit.write_text("1000\n")
    assert machine.memory_bytes() == 1000
