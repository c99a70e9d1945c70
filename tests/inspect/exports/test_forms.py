"""Each form of an export is read back by the tool that it is for."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from helpers.command import refused, run
from helpers.experiment import SEEDS, raw, settings
from safetensors.torch import load_file
from torch import nn
from torch.nn.utils import prune

from pipeline import load_binary, load_compact, load_ticket
from pipeline.artifacts import files, paths
from pipeline.artifacts.files import ArtifactError
from pipeline.artifacts.paths import Instance
from pipeline.border import user_code
from pipeline.config.settings import network_for
from pipeline.core import masks
from pipeline.core.arrays import Mask, Weights
from pipeline.core.digests import digest
from pipeline.core.models import modules
from pipeline.core.models.init import initial_weights
from pipeline.core.models.layers import Layers, Module
from pipeline.inspect import export
from pipeline.inspect.export import Output, Ticket
from pipeline.inspect.exports import FORMS
from pipeline.inspect.exports.exported import Exported, ExportError
from pipeline.plan import compiler

AT = Instance(task="main", variant="ticket", round=2, seeds=SEEDS)

pytestmark = [
    pytest.mark.usefixtures("experiment_root"),
    # torch says it once per process, at the first sparse matrix
    pytest.mark.filterwarnings("ignore:Sparse CSR tensor support is in beta"),
]


def exported(form: str, out: Path, *, trained: bool = False, card: bool = False) -> str:
    """What is said of seed 1 of the ticket of round 2, written in that form."""
    ticket = Ticket(name="ticket", round=2, seed=1, trained=trained)
    plan = compiler.compile_plan(settings(), [SEEDS])
    output = Output(form=form, hub_card=card)
    _, said = export.export(settings(), plan, ticket, out, None, output)
    return said


def network(hidden: int = 8) -> nn.Module:
    whole = nn.Sequential()
    whole.add_module("flatten", nn.Flatten())
    whole.add_module("fc1", nn.Linear(64, hidden))
    whole.add_module("relu", nn.ReLU())
    whole.add_module("fc2", nn.Linear(hidden, 10))
    return whole


def start() -> Weights:
    return files.load_weights(paths.starts_folder(AT), 1)


def mask() -> Mask:
    return files.load_mask(paths.masks_folder(AT), 1)


def images() -> torch.Tensor:
    rng = np.random.default_rng(0)
    return torch.tensor(rng.standard_normal((5, 1, 8, 8)), dtype=torch.float32)


def given(weights: Weights) -> torch.Tensor:
    module = network()
    module.load_state_dict({name: torch.tensor(w) for name, w in weights.items()})
    with torch.no_grad():
        found: torch.Tensor = module(images())
    return found


@pytest.mark.parametrize("form", [name for name in FORMS if name not in ("onnx", "binary")])
def test_a_form_has_the_same_bytes_each_time(form: str, tmp_path: Path) -> None:
    exported(form, tmp_path / "1")
    exported(form, tmp_path / "2")
    assert (tmp_path / "1").read_bytes() == (tmp_path / "2").read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["1", "2", "root"]


def test_torchs_own_pruning_loads_the_ticket_and_trains_it(tmp_path: Path) -> None:
    exported("torch-prune", tmp_path / "t")
    module = network()
    for name in ("fc1", "fc2"):
        prune.identity(module.get_submodule(name), "weight")
    module.load_state_dict(load_file(tmp_path / "t"))
    with torch.no_grad():
        assert torch.equal(module(images()), given(start()))
    optimizer = torch.optim.SGD(module.parameters(), 0.1, weight_decay=0.1)
    module(images()).square().sum().backward()
    optimizer.step()
    module(images())  # the tool applies masks in the forward pass
    for name in ("fc1", "fc2"):
        pruned = ~torch.tensor(mask()[f"{name}.weight"])
        layer: Any = module.get_submodule(name)
        assert bool((layer.weight[pruned] == 0).all())
        assert not torch.equal(
            layer.weight.detach(), torch.tensor(start()[f"{name}.weight"])
        )


def test_torchs_own_pruning_has_the_same_masks(tmp_path: Path) -> None:
    exported("torch-prune", tmp_path / "t")
    module = network()
    module.load_state_dict({name: torch.tensor(w) for name, w in start().items()})
    for name, kept in mask().items():
        layer = module.get_submodule(name.removesuffix(".weight"))
        prune.custom_from_mask(layer, "weight", torch.tensor(kept))
    found, wanted = load_file(tmp_path / "t"), module.state_dict()
    assert found.keys() == wanted.keys()
    for name, tensor in found.items():
        assert torch.equal(tensor, wanted[name].to(tensor.dtype)), name


def test_csr_is_read_by_torch_and_scipy(tmp_path: Path) -> None:
    from scipy.sparse import csr_array

    exported("csr", tmp_path / "t")
    found = load_file(tmp_path / "t")
    for name, kept in mask().items():
        parts = [
            found[f"{name}.{part}"] for part in ("crow_indices", "col_indices", "values")
        ]
        size = tuple(found[f"{name}.size"].tolist())
        sparse = torch.sparse_csr_tensor(*parts, size=size, check_invariants=True)
        wanted = start()[name]
        assert torch.equal(sparse.to_dense(), torch.tensor(wanted))
        crow, col, values = (part.numpy() for part in parts)
        np.testing.assert_array_equal(
            csr_array((values, col, crow), size).toarray(), wanted
        )
        assert len(values) == kept.sum()
    assert torch.equal(found["fc1.bias"], torch.tensor(start()["fc1.bias"]))


def test_a_convolution_is_a_matrix_with_a_row_per_output(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    weights = rng.standard_normal((4, 3, 3, 3)).astype(np.float32)
    kept = rng.random(weights.shape) < 0.3
    write_form(
        "csr", tmp_path / "t", {"conv.weight": weights * kept}, {"conv.weight": kept}
    )
    found = load_file(tmp_path / "t")
    parts = [
        found[f"conv.weight.{part}"] for part in ("crow_indices", "col_indices", "values")
    ]
    dense = torch.sparse_csr_tensor(*parts, size=(4, 27), check_invariants=True).to_dense()
    assert torch.equal(dense.reshape(4, 3, 3, 3), torch.tensor(weights * kept))
    assert files.load_facts(tmp_path / "t")["shapes"] == {"conv.weight": [4, 3, 3, 3]}


def write_form(form: str, out: Path, weights: Weights, kept: Mask) -> None:
    one = Exported(
        task=settings().tasks["main"],
        data=paths.data_file("digits"),
        weights=weights,
        mask=kept,
        provenance={"variant": "ticket"},
    )
    FORMS.load(form)(one, out)


@pytest.mark.parametrize("form", ["torch-prune", "csr"])
def test_frozen_weights_have_no_place_in_some_forms(form: str, tmp_path: Path) -> None:
    weights = start()
    weights["fc1.weight"][~mask()["fc1.weight"]] = 0.5
    with pytest.raises(ExportError, match="freezes pruned weights at values other than 0"):
        write_form(form, tmp_path / "t", weights, mask())
    assert not (tmp_path / "t").exists()


def test_compact_is_smaller_and_computes_the_same(tmp_path: Path) -> None:
    weights, kept = start(), mask()
    for dead in (1, 4, 6):
        weights["fc1.weight"][dead] = 0
        kept["fc1.weight"][dead] = False
    weights["fc1.bias"][4] = 2
    write_form("compact", tmp_path / "t", weights, kept)
    module = load_compact(tmp_path / "t")
    assert module.get_submodule("fc1").weight.shape == (5, 64)
    with torch.no_grad():
        assert torch.allclose(module(images()), given(weights), atol=1e-5)
    # plain torch reads it too
    smaller = network(5)
    smaller.load_state_dict(load_file(tmp_path / "t"))
    assert torch.equal(smaller(images()), module(images()))


def test_compact_says_how_small_it_is(tmp_path: Path) -> None:
    said = exported("compact", tmp_path / "t")
    assert said == "592 weights instead of 592, of which 309 are not pruned"


def test_a_compact_network_that_differs_is_not_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from pipeline.inspect.exports import compact

    def wrong(layers: Layers, weights: Weights) -> tuple[Layers, Weights]:
        return layers, weights | {"fc2.bias": weights["fc2.bias"] + np.float32(0.1)}

    monkeypatch.setattr(compact, "compacted", wrong)
    with pytest.raises(ExportError, match=r"compact would compute something else: .* 0.1"):
        exported("compact", tmp_path / "t")
    assert not (tmp_path / "t").exists()


def test_weights_that_are_not_finite_are_refused(tmp_path: Path) -> None:
    weights = start()
    weights["fc2.bias"][0] = np.nan
    with pytest.raises(ExportError, match="differ by up to nan"):
        write_form("compact", tmp_path / "t", weights, mask())


def test_a_file_that_is_no_compact_network_is_one_line(tmp_path: Path) -> None:
    exported("safetensors", tmp_path / "t")
    with pytest.raises(ArtifactError, match="is no compact network"):
        load_compact(tmp_path / "t")


def test_onnxruntime_computes_what_torch_computes(tmp_path: Path) -> None:
    onnxruntime = pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    said = exported("onnx", tmp_path / "t", trained=True)
    assert said.startswith("onnxruntime and torch differ by up to ")
    session = onnxruntime.InferenceSession(tmp_path / "t")
    trained = files.load_weights(paths.trained_folder(AT), 1)
    for size in (1, 5):
        (found,) = session.run(None, {"inputs": images()[:size].numpy()})
        np.testing.assert_allclose(found, given(trained)[:size], rtol=1e-4, atol=1e-5)
    assert session.get_modelmeta().custom_metadata_map["variant"] == "ticket"


def test_without_onnx_it_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from importlib import util

    find = util.find_spec
    monkeypatch.setattr(
        util, "find_spec", lambda name: None if "onnx" in name else find(name)
    )
    with pytest.raises(ExportError, match=r"pip install '/path/to/lt-pipeline\[onnx\]'"):
        exported("onnx", tmp_path / "t")


def test_trained_networks_leave_too(tmp_path: Path) -> None:
    exported("safetensors", tmp_path / "t", trained=True)
    weights, kept, _ = load_ticket(tmp_path / "t")
    trained = files.load_weights(paths.trained_folder(AT), 1)
    assert all(torch.equal(weights[name], torch.tensor(w)) for name, w in trained.items())
    assert {name: int(one.sum()) for name, one in kept.items()} == {
        "fc1.weight": 251,
        "fc2.weight": 58,
    }
    assert files.load_facts(tmp_path / "t")["trained"] is True


def test_the_card_has_the_hubs_form(tmp_path: Path) -> None:
    hub = pytest.importorskip("huggingface_hub")
    folder = tmp_path / "hub"
    folder.mkdir()
    exported("safetensors", folder / "t.safetensors", trained=True, card=True)
    card = hub.ModelCard.load(folder / "README.md")
    assert card.data.library_name == "pytorch"
    assert card.data.pipeline_tag == "image-classification"
    (result,) = card.data.eval_results
    recorded = files.load_json(paths.results_folder(AT) / "result.json")["seeds"]["1"]
    assert (result.dataset_name, result.metric_type) == ("digits", "accuracy")
    assert result.metric_value == recorded["test_accuracy"]
    facts = files.load_facts(folder / "t.safetensors")
    for name, value in facts.items():
        assert f"| {name} | `{value}` |" in card.text
    exported("safetensors", folder / "t.safetensors", card=True)  # its own is replaced
    card = hub.ModelCard.load(folder / "README.md")
    assert card.data.eval_results is None
    steps = recorded["steps"]
    assert f"% test accuracy after {steps} steps." in card.text


def test_the_card_states_the_accuracy_of_its_weights_whatever_the_tasks_metric(
    tmp_path: Path,
) -> None:
    path = paths.results_folder(AT) / "result.json"
    recorded = files.load_json(path)
    seed = recorded["seeds"]["1"]
    at_end, seed["test_accuracy"] = seed["test_accuracy"], 0.999
    files.save_json(path, recorded)
    folder = tmp_path / "hub"
    folder.mkdir()
    exported("safetensors", folder / "t", trained=True, card=True)
    text = (folder / "README.md").read_text(encoding="utf-8")
    assert f"It reaches {100 * at_end:.2f} % test accuracy." in text
    assert f"value: {at_end}" in text
    assert "pruned weights are 0." in text
    seed["diverged"] = True
    files.save_json(path, recorded)
    exported("safetensors", folder / "t", trained=True, card=True)
    assert "% test accuracy" not in (folder / "README.md").read_text(encoding="utf-8")


def test_the_card_says_that_pruned_weights_are_frozen(tmp_path: Path) -> None:
    out = tmp_path / "t"
    ticket = Ticket(name="ticket", round=2, seed=1, trained=True)
    frozen = settings(variants__ticket__rewind__pruned="freeze-init")
    plan = compiler.compile_plan(frozen, [SEEDS])
    export.export(frozen, plan, ticket, out, None, Output(hub_card=True))
    text = (tmp_path / "README.md").read_text(encoding="utf-8")
    assert "pruned weights are what the variant froze them at" in text


@pytest.mark.parametrize("encoding", ["utf-8", "latin-1", "utf-16"])
def test_a_readme_of_the_users_is_not_overwritten(
    experiment_root: Path, encoding: str
) -> None:
    (experiment_root / "README.md").write_text("à moi\n", encoding=encoding)
    message = refused(experiment_root, "export", "--round", "2", "--out", "t", "--hub-card")
    assert message.endswith("export into a folder of its own")


def test_the_command_takes_a_format(experiment_root: Path) -> None:
    arguments = ("export", "--round", "2", "--out", "t", "--format")
    ended = run(experiment_root, *arguments, "compact")
    assert (ended.code, ended.errors) == (0, "")
    assert ended.output.splitlines()[1].startswith("592 weights instead of 592")
    (experiment_root / "t").unlink()
    message = refused(experiment_root, *arguments, "compacted")
    assert message.startswith("unknown format: compacted; did you mean compact?")


def of_a_module(root: Path) -> Exported:
    """The network that a function of the user's gives."""
    (root / "exported_module.py").write_text(
        "from torch import nn\n\n\ndef build(data):\n"
        "    return nn.Sequential(nn.Flatten(), nn.Linear(64, 8), nn.Linear(8, 10))\n"
    )
    task = raw()["tasks"]["main"] | {
        "model": {"import": "exported_module:build", "init": "module"}
    }
    rng = np.random.default_rng(0)
    shapes = {"1.weight": (8, 64), "1.bias": (8,), "2.weight": (10, 8), "2.bias": (10,)}
    return Exported(
        task=settings(tasks={"main": task}).tasks["main"],
        data=paths.data_file("digits"),
        weights={n: rng.standard_normal(s).astype(np.float32) for n, s in shapes.items()},
        mask={},
        provenance={"variant": "ticket"},
    )


def test_a_torch_module_has_no_compact_form(tmp_path: Path, experiment_root: Path) -> None:
    with pytest.raises(ExportError, match="the network is a torch module; take"):
        FORMS.load("compact")(of_a_module(experiment_root), tmp_path / "t")


@pytest.mark.slow  # a second graph takes seconds
def test_a_torch_module_has_an_onnx_form(tmp_path: Path, experiment_root: Path) -> None:
    onnxruntime = pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    module = of_a_module(experiment_root)
    FORMS.load("onnx")(module, tmp_path / "t.onnx")
    session = onnxruntime.InferenceSession(tmp_path / "t.onnx")
    (found,) = session.run(None, {"inputs": images().numpy()})
    first = images().numpy().reshape(5, 64) @ module.weights["1.weight"].T
    wanted = (first + module.weights["1.bias"]) @ module.weights["2.weight"].T
    np.testing.assert_allclose(found, wanted + module.weights["2.bias"], atol=1e-3)


# Modules whose state dict has other names than their tensors


def of_a_tied_module(root: Path) -> tuple[Exported, Callable[[], nn.Module]]:
    """A module that uses one weight twice, and has a buffer beside its state dict."""
    (root / "exported_tied.py").write_text(
        "import torch\nfrom torch import nn\n\n\nclass Tied(nn.Module):\n"
        "    def __init__(self):\n"
        "        super().__init__()\n"
        "        self.a, self.b = nn.Linear(64, 64), nn.Linear(64, 64)\n"
        "        self.b.weight = self.a.weight\n"
        "        self.out = nn.Linear(64, 10)\n"
        "        self.register_buffer('size', torch.ones(()), persistent=False)\n\n"
        "    def forward(self, images):\n"
        "        hidden = self.a(images.flatten(1)).relu()\n"
        "        return self.out(self.b(hidden).relu() * self.size)\n\n\n"
        "def build(data):\n    return Tied()\n"
    )
    task = raw()["tasks"]["main"] | {
        "model": {"import": "exported_tied:build", "init": "module"}
    }
    asked = settings(tasks={"main": task}).tasks["main"]
    description = files.load_description(paths.data_file("digits"))
    network = network_for(asked, description)
    weights = initial_weights(network, "module", np.random.default_rng(0))
    weights["size"] = np.float32(2)
    rng = np.random.default_rng(1)
    kept = {"a.weight": rng.random((64, 64)) < 0.5, "out.weight": rng.random((10, 64)) < 1}
    one = Exported(
        task=asked,
        data=paths.data_file("digits"),
        weights=masks.apply(weights, kept),
        mask=kept,
        provenance={"variant": "ticket"},
    )
    return one, lambda: user_code.call("exported_tied:build", {}, description)


def trained_by_hand(module: nn.Module) -> None:
    optimizer = torch.optim.SGD(module.parameters(), 0.1, momentum=0.9, weight_decay=0.1)
    for _ in range(5):
        optimizer.zero_grad()
        nn.functional.cross_entropy(module(images()), torch.arange(5)).backward()
        optimizer.step()


def test_tied_weights_are_loaded_and_held_wherever_they_are(
    tmp_path: Path, experiment_root: Path
) -> None:
    one, make = of_a_tied_module(experiment_root)
    FORMS.load("safetensors")(one, tmp_path / "t")
    weights, mask, hold = load_ticket(tmp_path / "t")
    module: Any = make()
    module.load_state_dict(weights)
    hold(module)
    trained_by_hand(module)
    pruned = ~mask["a.weight"]
    assert torch.equal(module.a.weight, module.b.weight)
    assert bool((module.b.weight[pruned] == 0).all())
    assert not torch.equal(module.b.weight[~pruned], weights["b.weight"][~pruned])


def test_torchs_own_pruning_takes_tied_weights(
    tmp_path: Path, experiment_root: Path
) -> None:
    one, make = of_a_tied_module(experiment_root)
    FORMS.load("torch-prune")(one, tmp_path / "t")
    module: Any = make()
    for layer in (module.a, module.b, module.out):
        prune.identity(layer, "weight")
    module.load_state_dict(load_file(tmp_path / "t"))
    trained_by_hand(module)
    module(images())
    pruned = ~torch.tensor(one.mask["a.weight"])
    assert torch.equal(module.a.weight, module.b.weight)
    assert bool((module.b.weight[pruned] == 0).all())


def test_csr_has_tied_weights_under_each_name(
    tmp_path: Path, experiment_root: Path
) -> None:
    one, _ = of_a_tied_module(experiment_root)
    FORMS.load("csr")(one, tmp_path / "t")
    found = load_file(tmp_path / "t")
    assert torch.equal(found["a.weight.values"], found["b.weight.values"])
    assert "size" not in found


def test_a_module_is_filled_with_every_buffer(experiment_root: Path) -> None:
    one, _ = of_a_tied_module(experiment_root)
    assert isinstance(one.network, Module)
    module = modules.filled(one.network, one.weights)
    with torch.no_grad():
        found = module(torch.from_numpy(one.test_inputs[0])).numpy()
    np.testing.assert_array_equal(found, one.outputs[: len(found)])


# Binary networks


def binary(sizes: dict[str, float], *, turned: bool = False) -> Exported:
    """The masks of the ticket on the signs of θ₀, at one size per layer."""
    theta0 = files.load_weights(paths.theta0_folder("main", SEEDS), 1)
    weights = {name: values.copy() for name, values in theta0.items()}
    for name, kept in mask().items():
        size = np.float32(sizes[name])
        weights[name] = np.where(kept, size * np.sign(theta0[name]), np.float32(0))
    if turned:
        weights["fc1.weight"] *= np.float32(-1)
    weights["fc1.bias"] += np.float32(0.5)
    return Exported(
        task=settings().tasks["main"],
        data=paths.data_file("digits"),
        weights=weights,
        mask=mask(),
        provenance={"seed": 1, "theta0": digest(theta0), "numpy": np.__version__},
    )


SIZES = {"fc1.weight": 0.125, "fc2.weight": 0.3}


def test_a_binary_network_is_read_back_from_its_seed_and_bits(tmp_path: Path) -> None:
    network = binary(SIZES)
    said = FORMS.load("binary")(network, tmp_path / "b")
    found = load_binary(tmp_path / "b")
    assert digest({n: w.numpy() for n, w in found.items()}) == digest(network.weights)
    assert torch.equal(
        given({n: w.numpy() for n, w in found.items()}), given(network.weights)
    )
    stored = files.load_arrays(tmp_path / "b")
    assert stored["fc1.weight.bits"].nbytes == 64 * 8 // 8
    assert set(stored) == {
        *(f"{name}.{part}" for name in SIZES for part in ("bits", "size")),
        "fc1.bias",
    }
    assert f"{(tmp_path / 'b').stat().st_size:,} bytes" in said
    (tmp_path / "c").write_bytes((tmp_path / "b").read_bytes())
    FORMS.load("binary")(network, tmp_path / "b")
    assert (tmp_path / "c").read_bytes() == (tmp_path / "b").read_bytes()


def test_a_network_that_is_not_binary_is_refused_in_a_line(tmp_path: Path) -> None:
    with pytest.raises(ExportError, match=r"fc1\.weight is not binary") as error:
        exported("binary", tmp_path / "b")
    assert len(str(error.value).splitlines()) == 1
    with pytest.raises(ExportError, match="other signs than theta0"):
        FORMS.load("binary")(binary(SIZES, turned=True), tmp_path / "b")
    assert not (tmp_path / "b").exists()


def test_a_file_of_another_form_is_no_binary_network(tmp_path: Path) -> None:
    exported("csr", tmp_path / "c")
    with pytest.raises(ArtifactError, match="is no binary network"):
        load_binary(tmp_path / "c")
