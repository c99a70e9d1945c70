"""The benchmarks run, at a tiny size, and say what they promise; no number is judged."""

import importlib.util
import json
import sys
import time
from argparse import Namespace
from dataclasses import asdict, replace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from helpers.tracked_stores import store
from torch.utils.flop_counter import FlopCounterMode

from pipeline.config import params
from pipeline.core.arrays import Floats
from pipeline.core.batches import Dataset
from pipeline.core.training.engine import Engine, Job
from pipeline.engines import sparse, sparse_conv
from pipeline.plan import compiler, items

Report = dict[str, Any]
BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
sys.path.append(str(BENCHMARKS))  # as when a script runs; they import each other


def script(name: str) -> ModuleType:
    """A benchmark as a module; tests have an ``experiment`` of their own."""
    if name != "experiment":
        return importlib.import_module(name)
    spec = importlib.util.spec_from_file_location(
        "benchmark_experiment", BENCHMARKS / "experiment.py"
    )
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look there
    spec.loader.exec_module(module)
    return module


measuring = script("measuring")


@pytest.fixture
def images() -> Dataset:
    return measuring.random_data((120, 60, 60))


def saved(module: ModuleType, folder: Path, rows: list[Any], **report: object) -> Report:
    """What the script's own saving and drawing leave of some rows."""
    out = folder / "report.json"
    full = measuring.save(out, time.monotonic(), rows=[asdict(r) for r in rows], **report)
    module.plot(rows, full, out.with_suffix(".png"))
    assert out.with_suffix(".png").read_bytes().startswith(b"\x89PNG")
    report: Report = json.loads(out.read_text())
    return report


def test_a_report_names_the_machine_and_what_of_its_goals_is_met(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    goals = [
        measuring.Goal(what="share", goal=0.3, measured=0.2, unit="of the time"),
        measuring.Goal(what="ratio", goal=4, measured=3, unit="times", at_least=True),
    ]
    out = tmp_path / "report.json"
    measuring.save(out, time.monotonic(), goals=goals, rows=[])
    report = json.loads(out.read_text())
    assert [goal["met"] for goal in report["goals"]] == [True, False]
    assert {"cpu", "cores", "threads", "versions", "date", "load_average"} <= set(report)
    assert {"python", "torch", "numpy", "numba"} == set(report["versions"])
    assert capsys.readouterr().out.splitlines() == [
        "share: 0.2 of the time (goal ≤ 0.3: met)",
        "ratio: 3 times (goal ≥ 4: MISSED)",
    ]


@pytest.mark.parametrize("density", [1.0, 0.1])
def test_jobs_are_as_dense_as_asked(images: Dataset, density: float) -> None:
    network = measuring.network_for("lenet-300-100", images)
    job = measuring.make_job(network, images, density)
    kept = sum(int(mask.sum()) for mask in job.mask.values())
    assert kept / 266200 == pytest.approx(density, rel=1e-3)
    assert all(not job.start[name][~mask].any() for name, mask in job.mask.items())


def test_random_data_stand_in_for_mnist(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tiny = measuring.random_data((12, 6, 6))
    monkeypatch.setattr(measuring, "random_data", lambda: tiny)
    assert measuring.load(tmp_path) == (tiny, "random")


@pytest.mark.parametrize(("case", "engine"), [(0, "sparse"), (1, "sparse-conv")])
def test_engines(
    case: int,
    engine: str,
    images: Dataset,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    engines = script("engines")
    monkeypatch.setattr(engines, "DENSITIES", (0.1,))
    monkeypatch.setattr(engines, "SLICE_S", 0.001)
    small = replace(engines.CASES[case], repeats=1, batch_size=4)
    report = saved(engines, tmp_path, engines.measure(small, images))
    assert {"reference", "dense", engine, "batched"} == {
        r["engine"] for r in report["rows"]
    }
    for row in report["rows"]:
        assert row["model"] == small.model
        assert (row["density"], row["batch_size"]) == (0.1, 4)
        assert row["steps_per_s"] > 0
        assert row["floor_steps_per_s"] > 0
        assert (row["evaluation_share"] is not None) == small.evaluated


def test_the_dense_floor_is_the_products_of_a_step(images: Dataset) -> None:
    engines = script("engines")
    network = measuring.network_for("conv-2", images)
    with FlopCounterMode(display=False) as counted:
        engines.products(network, images.images.shape, 2)()
    conv1, conv2 = 9 * 64 * 784, 9 * 64 * 64 * 784
    linear = 12544 * 256 + 256 * 256 + 256 * 10
    assert counted.get_total_flops() == 2 * 2 * (2 * conv1 + 3 * (conv2 + linear))


def test_multiply_adds_are_those_of_the_dense_floor_where_all_weights_are_kept() -> None:
    engines = script("engines")
    images = measuring.random_data((16, 1, 1), (3, 8, 8))
    network = measuring.network_for("resnet-8", images)
    with FlopCounterMode(display=False) as counted:
        engines.products(network, images.images.shape, 16)()
    job = measuring.make_job(network, images, 1.0)
    shares = engines.kept_shares(network, job.mask, images, 16, engine="dense")
    found = engines.step_multiply_adds(network, images, 16, shares)
    assert counted.get_total_flops() == 2 * found


def test_evaluation(images: Dataset, tmp_path: Path) -> None:
    evaluation = script("evaluation")
    rows = evaluation.measure(images, (1.0, 0.1), ["dense", "sparse"], steps=200)
    found = [(r.engine, r.density, r.chosen, r.steps, r.validations) for r in rows]
    assert found == [
        ("dense", 1.0, True, 200, 3),
        ("sparse", 1.0, False, 200, 3),
        ("dense", 0.1, False, 200, 3),
        ("sparse", 0.1, True, 200, 3),
    ]
    for row in rows:
        assert 1 <= row.tests <= row.validations
        assert 0 < row.validation_share < row.share < 1
    goals = evaluation.goals(rows)
    assert [goal.measured for goal in goals] == [rows[0].share, rows[3].share]
    assert saved(evaluation, tmp_path, rows, goals=goals)["rows"][0]["engine"] == "dense"


@pytest.mark.slow
def test_workers(tmp_path: Path) -> None:
    clone, workers = script("clone"), script("workers")
    settings = workers.settings_for(
        steps=2, engine="reference", data="digits"
    )  # compiles nothing
    root = tmp_path / "clone"
    clone.make(root, settings, measuring.random_data((120, 60, 60), (1, 8, 8)))
    clone.run(root, clone.python("pipeline.stages.init", "main-s0-1"))
    rows = [workers.train(root, settings | {"workers": n}) for n in (1, 2)]
    facts = workers.probe(root, "reference", (0, 1))
    assert [row["workers"] for row in rows] == [1, 2]
    assert [len(row["trainings_s"]) for row in rows] == [2, 2]
    assert [one["torch_threads"] for one in facts] == [1, 1]
    assert all(one["peak_rss_mb"] > 50 for one in facts)
    assert all(one["threads"][0]["cpu_s"] > 0 for one in facts)
    found = workers.summary(rows)
    assert found["ratio"] == rows[1]["wall_s"] / rows[0]["wall_s"]
    assert len(workers.goals(found, facts)) == 4
    report = measuring.save(
        tmp_path / "report.json", time.monotonic(), steps=2, engine="reference", **found
    )
    workers.plot(rows, report, tmp_path / "report.png")
    assert (tmp_path / "report.png").exists()


def test_a_failed_command_shows_what_it_said(tmp_path: Path) -> None:
    clone = script("clone")
    with pytest.raises(RuntimeError, match="No module named nothing"):
        clone.run(tmp_path, clone.python("nothing"))


def test_made_up_outputs_are_those_of_the_stages(stages_run: Path) -> None:
    overheads, plan = script("overheads"), items.read(stages_run)
    assert plan is not None
    for item in items.items_of(plan):
        for path in overheads._outputs(item):
            assert (stages_run / path).exists(), path


@pytest.mark.slow
def test_dvc_has_nothing_to_do_once_outputs_are_committed(tmp_path: Path) -> None:
    overheads = script("overheads")
    row, num_stages = overheads.repro(tmp_path / "clone", rounds=1, runs=1)
    # plan, data, init, train, results, track; prune, rewind, retrain of the ticket and the
    # shuffled mask; rewind, retrain of reinit
    assert num_stages == 6 + 8
    assert row.what == "dvc repro, nothing to do, 14 stages"
    assert row.wall_s > 0
    assert row.cpu_s > 0


@pytest.mark.parametrize("how", ["_by_hand", "_by_hyperfine"])
def test_commands_are_timed(tmp_path: Path, how: str) -> None:
    overheads = script("overheads")
    if how == "_by_hyperfine" and overheads.shutil.which("hyperfine") is None:
        pytest.skip("hyperfine is not installed")
    (tmp_path / "clone").mkdir()
    command = [sys.executable, "-c", "print(1)"]
    wall_s, cpu_s = getattr(overheads, how)(tmp_path / "clone", command, 2)
    assert cpu_s > 0
    assert wall_s > 0


def test_overheads_are_drawn_with_their_goals(tmp_path: Path) -> None:
    overheads = script("overheads")
    rows = [
        overheads.Row(what="prune", wall_s=0.3, cpu_s=0.2, goal_s=0.6, tool="hyperfine"),
        overheads.Row(what="other", wall_s=0.4, cpu_s=0.2, goal_s=None, tool="hyperfine"),
    ]
    goals = overheads.goals(rows, [{"engine": "dense", "peak_rss_mb": 500.0}])
    assert [(goal.what, goal.met) for goal in goals] == [
        ("prune", True),
        ("peak memory of a worker", True),
    ]
    assert saved(overheads, tmp_path, rows)["rows"][0]["what"] == "prune"


def test_a_walk_on_a_clock_ends_with_its_slowest_chain_or_with_its_driver(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    simulation = script("simulation")
    (tmp_path / "params.yaml").write_text(json.dumps(simulation.experiment(3, 2)))
    monkeypatch.chdir(tmp_path)
    settings = params.load()
    plan = compiler.compile_plan(settings, [settings.seeds])
    graph = simulation.graphs.graph(settings, plan, {"data@mnist"}, ())
    assert graph.num_trainings == 3 * (1 + 2 * 3)

    slow = simulation.Costs(begin_s=20.0, take_s=0.0, made_s=0.0)
    few, many, driver = (
        simulation.simulate(settings, graph, costs, slots=slots, length_s=10.0).now
        for slots, costs in ((1, simulation.FREE), (100, simulation.FREE), (100, slow))
    )
    assert few == pytest.approx(210, rel=0.1)
    assert 24 < many < 40  # a dense network, and two rounds of the ticket
    assert 420 < driver < 480
    rows = [simulation.Row(slots=100, length_s=1.0, walk_s=3.0, free_s=2.0, driver_s=1.0)]
    assert rows[0].times == 1.5
    saved(simulation, tmp_path, rows, trainings=21)


def test_growth_is_per_stage_and_per_training(tmp_path: Path) -> None:
    growth = script("growth")
    used = dict.fromkeys(growth.PARTS, 2.0)
    times = dict.fromkeys(("plan_s", "walk_s", "record_s", "track_s", "again_s"), 1.0)
    rows = [
        growth.Row(stages=n, trainings=n // 2, seeds=1, cpu_s=used, **times)
        for n in (60, 600)
    ]
    assert [goal.measured for goal in growth.goals(rows)] == pytest.approx([0.1, 0.1])
    saved(growth, tmp_path, rows)


def test_the_share_of_the_processors_is_that_of_all_of_them(tmp_path: Path) -> None:
    filled = script("filled")
    num = filled.cores.available_cores()
    row = filled.Row(
        preset="digits",
        seeds=4,
        trainings=9,
        seconds=10.0,
        workers_s=9.6 * num,
        driver_s=0.2,
        alone_s=0.1,
    )
    assert row.share == pytest.approx(0.96)
    assert filled.goals([row])[0].met
    saved(filled, tmp_path, [row])


@pytest.mark.slow
def test_ten_kills_a_full_disk_and_some_damage_need_no_help(tmp_path: Path) -> None:
    faults = script("faults")
    wanted = Namespace(kills=10, fills=1, damages=4, seed=7)
    found = faults.campaign(faults.prepare(tmp_path), wanted)
    assert [fault for fault in found if fault.help] == []
    assert [fault.kind for fault in found].count("kill") == 10


def test_a_whole_experiment(images: Dataset, tmp_path: Path) -> None:
    experiment = script("experiment")
    settings = measuring.paper(steps=2, evaluate_every=2)
    laps, dense = experiment.measure(images, settings, num_rounds=2)
    densities = [lap.density for lap in laps["ours"]]
    assert densities == pytest.approx([1, 0.9, 0.81], rel=1e-5)
    assert [lap.density for lap in laps["eager"]] == pytest.approx(densities, rel=1e-5)
    assert [lap.reinit_s > 0 for lap in laps["ours"]] == [False, True, True]
    assert all(len(times) == 1 for times in dense.values())
    found = experiment.summary(laps, dense)
    assert found["ratio"] == found["eager_s"] / found["ours_s"]
    assert [goal.measured for goal in experiment.goals(found)] == [
        found["ratio"],
        found["price"],
    ]
    report = measuring.save(tmp_path / "report.json", time.monotonic(), steps=2, **found)
    experiment.plot(laps, report, tmp_path / "report.png")
    assert (tmp_path / "report.png").exists()


def test_both_sides_train_alike(images: Dataset) -> None:
    experiment = script("experiment")
    settings = measuring.paper(steps=2, evaluate_every=2)
    sides = experiment.Ours(images, settings), experiment.Eager(images, settings)
    for side in sides:
        side.dense()
        side.prune()
        side.ticket(1)
    ours, eager = sides
    for name, kept in ours._mask.items():
        assert kept.sum() == eager._mask[name].sum()
        assert not eager._trained[name].numpy()[eager._mask[name].numpy() == 0].any()
        # Adam's first two steps move each weight by about the learning rate.
        moved = np.abs(eager._trained[name].numpy() - eager._theta0[name].numpy())
        assert moved[eager._mask[name].numpy() == 1].max() < 3e-3


@pytest.mark.parametrize("side", [0, 4])
def test_layers(side: int, tmp_path: Path) -> None:
    layers = script("layers")
    shape = layers.Shape(inputs=8, outputs=12, batch_size=20, side=side)
    rows = layers.measure(shape, 0.3, repeats=1)
    ways = {row.way for row in rows}
    assert {"ours", "dense"} <= ways
    assert ("torch CSR" in ways) == (not side)
    assert all(row.microseconds > 0 for row in rows)
    assert saved(layers, tmp_path, rows)["rows"][0]["layer"].startswith("8→12")


def test_every_library_is_compared_with_ours() -> None:
    layers = script("layers")
    times = {"ours": 2.0, "sparseprop": 6.0, "sparseprop kernels": 5.0, "dense": 1.0}
    rows = [
        layers.Row(layer="a", density=0.1, way=way, microseconds=time)
        for way, time in times.items()
    ]
    found = {goal.what: (goal.measured, goal.met) for goal in layers.goals(rows)}
    assert found == {
        "a: time of sparseprop, at least": (3.0, True),
        "a: time of sparseprop kernels, at least": (2.5, True),
    }


def test_what_is_measured_of_a_linear_layer_is_the_layer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    layers = script("layers")
    engine = made(sparse, monkeypatch)
    shape = layers.Shape(inputs=8, outputs=12, batch_size=20)
    weight = sparse_weight(shape.weight_shape)
    both = layers.our_linear(shape, weight)
    net, work, place = engine[0]._net, engine[0]._work, engine[0]._place
    work.biases[:] = np.nan  # not what memory holds by chance
    width = len(work.peaks)
    outputs, gradients = (m.reshape(-1, width) for m in (work.outputs, work.gradients))
    given = gradients[8:].copy()  # of the logits; of the hidden units comes later
    both()
    inputs = torch.tensor(outputs[:8].copy(), requires_grad=True)
    dense = torch.tensor(weight, requires_grad=True)
    biases = torch.tensor(net.biases.value[8:20].copy())
    expected = dense @ inputs + biases[:, None]
    expected.backward(torch.tensor(given[:12]))
    assert inputs.grad is not None
    assert dense.grad is not None
    assert close(outputs[8:20], expected)
    assert close(gradients[:8], inputs.grad * (inputs > 0))
    kept = weight != 0
    ours = net.weights.gradient[place[: kept.sum()]]
    assert close(ours, dense.grad[torch.tensor(kept)])


def test_what_is_measured_of_a_convolution_is_the_layer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    layers = script("layers")
    engine = made(sparse_conv, monkeypatch)
    shape = layers.Shape(inputs=8, outputs=6, batch_size=16, side=4)
    weight = sparse_weight(shape.weight_shape)
    both = layers.our_conv(shape, weight)
    net, work = engine[0]._net, engine[0]._work
    conv = net.wiring.convs[1]
    padded = block(work.planes[0], conv["source"], channels=8)
    both()
    outputs = block(work.planes[0], conv["target"], channels=6)[..., 1:-1, 1:-1]
    biases = torch.tensor(net.biases.value[8:14])
    expected = F.conv2d(torch.tensor(padded), torch.tensor(weight), biases).relu()
    assert close(outputs, expected)


def test_accuracies_are_compared_by_seed(images: Dataset, tmp_path: Path) -> None:
    accuracy = script("accuracy")
    cases = {"lenet-300-100": accuracy.Case(engines=("dense", "sparse"), steps=3)}
    rows = accuracy.measure(images, cases, seeds=range(2))
    assert [(row.engine, row.against) for row in rows] == [
        ("dense", "reference"),
        ("sparse", "reference"),
        ("sparse", "itself nudged"),
    ]
    for row in rows:
        assert len(row.accuracies) == len(row.others) == 2
        assert row.low <= row.difference <= row.high
    assert rows[2].others == rows[1].accuracies
    saved(accuracy, tmp_path, rows)


def test_engines_are_equal_if_their_interval_lies_within_the_margin() -> None:
    accuracy = script("accuracy")

    def verdicts(*differences: float) -> list[bool]:
        others = (0.5,) * len(differences)
        accuracies = tuple(0.5 + x for x in differences)
        row = accuracy.compared("model", ("engine", "reference"), 3, accuracies, others)
        null = replace(row, against="itself nudged")
        return [goal.met for goal in accuracy.goals([row, null])]

    assert verdicts(0.0009, 0.0009) == [True]
    assert verdicts(-0.0009, -0.0009) == [True]
    assert verdicts(0.0011, 0.0011) == [False]
    assert verdicts(-0.0011, -0.0011) == [False]
    assert verdicts(-0.01, 0.01) == [False]


def test_a_nudged_start_keeps_what_is_pruned(images: Dataset) -> None:
    accuracy = script("accuracy")
    network = measuring.network_for("lenet-300-100", images)
    job = measuring.make_job(network, images, 0.1)
    for name, weight in accuracy.nudged(job.start, seed=0).items():
        start = job.start[name]
        assert weight.dtype == np.float32
        assert np.allclose(weight, start, rtol=1e-5, atol=0)
        assert (weight != start).any() == start.any()


def made(module: ModuleType, monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The engines that are made from now on."""
    engines: list[Any] = []
    make = module.make

    def remembered(jobs: list[Job]) -> Engine:
        engines.append(make(jobs))
        return engines[-1]

    monkeypatch.setattr(module, "make", remembered)
    return engines


def sparse_weight(weight_shape: tuple[int, ...]) -> Floats:
    rng = np.random.default_rng(0)
    weight = rng.standard_normal(weight_shape, dtype=np.float32)
    weight[rng.random(weight_shape) < 0.5] = 0
    return weight


def block(planes: Floats, first: int, *, channels: int) -> Floats:
    """(16, channels, 6, 6): planes of 4 × 4 with their borders, examples first."""
    size = 6 * channels * 6 * 16
    stored = planes[first : first + size].reshape(6, channels, 6, 16)
    return stored.transpose(3, 1, 0, 2).copy()


def close(found: Floats, expected: torch.Tensor) -> bool:
    return np.allclose(found, expected.detach().numpy(), rtol=1e-4, atol=1e-5)


def test_a_gpus_run_is_sized_to_its_time_and_its_engine_checked_first(images) -> None:
    gpu = script("gpu")
    sizes = gpu.tiny()
    assert gpu.difference(sizes, images) < gpu.CLOSE
    rows = gpu.rates(replace(sizes, lanes={"lenet-300-100": (1, 2)}), 0.01)
    assert [row["lanes"] for row in rows] == [1, 2]
    assert all(row["steps_per_s"] > 0 for row in rows)
    full = gpu.full()
    fast = [{"model": "conv-2", "lanes": 8, "steps_per_s": 1000.0}]
    # 13 trainings of 20,000 steps per seed at 8,000 steps per second
    assert gpu.num_seeds(full, fast, 60 + 4 * 32.5) == 4
    assert gpu.num_seeds(full, fast, 10) == 1


def test_simulations_of_the_statistics_give_tables() -> None:
    verdicts = script("verdicts")
    for table in (verdicts.errors, verdicts.looking, verdicts.coverage, verdicts.powers):
        head, rule, *rows = table(40)
        assert rows
        assert len({line.count("|") for line in (head, rule, *rows)}) == 1


def test_the_results_page_has_what_a_gpu_measured_and_figures(tmp_path: Path) -> None:
    results = script("results")
    page, figures = tmp_path / "page.md", tmp_path / "store"
    page.write_text(f"<!-- results -->\nold\n<!-- /results -->\n{results.NEW}\nafter\n")
    tracked = replace(store(seeds=range(8), seconds=36.0), commits=("abc1234",))
    (tmp_path / "gpu.json").write_text(
        json.dumps(
            {
                "device": "A card",
                "date": "2026-11-28",
                "difference": 1e-6,
                "seeds": 3,
                "rates": [{"model": "conv-2", "lanes": 8, "steps_per_s": 900.0}],
            }
        )
    )
    results.write([tracked], tmp_path, page, figures)
    text = page.read_text()
    # 8 dense networks, and 10 rounds of two variants
    assert "| [toy](#toy) | 8 | 15,000 | 168 | abc1234 | 1.7 |" in text
    assert "| conv-2 | 8 | 900 |" in text
    assert "The dense network reaches just over 98 % test accuracy." in text
    assert "![toy: test_accuracy](figures/store/toy/test_accuracy.png)" in text
    assert (figures / "toy" / "test_accuracy.png").exists()
    results.write([tracked], None, page, figures)
    assert "Not run yet" in page.read_text()
