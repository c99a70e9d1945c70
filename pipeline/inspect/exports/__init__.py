"""The forms in which a network leaves the program, one file each.

Each module's ``write(exported, out)`` writes one file (``exported.py`` says what it gets),
atomically, and returns what a reader wants to hear of it beyond density and provenance: a
phrase, or nothing.
"""

from dataclasses import dataclass

from pipeline.core.registry import Entry, Registry


@dataclass(frozen=True, kw_only=True, slots=True)
class Form(Entry):
    """The record of a form: what its file holds, and how a reader loads it."""

    holds: str
    """what the file holds, for help and model cards"""
    loads: str
    """how its reader loads it, in Python: two lines, ``FILE`` for the file"""
    library: str = "pytorch"
    """what a hub calls the library that reads it"""


DEFAULT = "safetensors"
FORMS = Registry(
    "format",
    __name__,
    {
        DEFAULT: Form(
            module="tensors",
            holds="weights under their state-dict names, masks as mask.NAME",
            loads="from pipeline import load_ticket\n"
            'weights, mask, hold = load_ticket("FILE")',
        ),
        "torch-prune": Form(
            module="torch_prune",
            holds="a state dict of torch.nn.utils.prune: NAME_orig and NAME_mask",
            loads='prune.identity(model.fc1, "weight")  # and so for every pruned layer\n'
            'model.load_state_dict(safetensors.torch.load_file("FILE"))',
        ),
        "csr": Form(
            module="csr",
            holds="kept weights as sparse matrices: NAME.crow_indices, .col_indices, "
            ".values, .size",
            loads='t = safetensors.torch.load_file("FILE")\n'
            "weight = torch.sparse_csr_tensor(\n"
            '    *(t[f"fc1.weight.{part}"] for part in ("crow_indices", "col_indices", '
            '"values")),\n'
            '    size=tuple(t["fc1.weight.size"]), check_invariants=True,\n'
            ")",
        ),
        "compact": Form(
            module="compact",
            holds="a smaller dense network without dead units, checked on the test set",
            loads='from pipeline import load_compact\nmodel = load_compact("FILE")',
        ),
        "binary": Form(
            module="binary",
            holds="seed, packed mask and one size per layer of a binary network",
            loads="from pipeline import load_binary\n"
            'weights = load_binary("FILE")  # a state dict',
        ),
        "onnx": Form(
            module="onnx",
            holds="the network as an ONNX graph, checked on the test set",
            loads='session = onnxruntime.InferenceSession("FILE")\n'
            '(logits,) = session.run(None, {"inputs": batch})',
            library="onnx",
        ),
    },
    offers="write",
)
