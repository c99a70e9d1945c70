"""A model card for a hub: README.md beside an exported file, with its provenance.

Its front matter has the form of Hugging Face's hub. Under `model-index` stands the test
accuracy of a trained network; a ticket is untrained, so its text says what it reached.
"""

import io
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from pipeline.artifacts import files
from pipeline.core.description import Classes, Images
from pipeline.core.rewinding import ZERO
from pipeline.inspect.exports import FORMS
from pipeline.inspect.exports.exported import Exported, ExportError

NAME = "README.md"
OURS = "lt-pipeline"
"""the tag in the front matter by which a card of ours is known"""
WHEN = {
    True: "The network at the end of its training",
    False: "The weights before training",
}
"""by whether it is trained"""
PRUNED = {True: "0", False: "what the variant froze them at, and act"}
"""by whether the variant's pruned weights are 0"""
TAGS = ("lottery-ticket-hypothesis", "pruning", "sparsity", OURS)


@dataclass(frozen=True, kw_only=True, slots=True)
class Reached:
    """The last test of a training."""

    accuracy: float
    """a fraction"""
    step: int


def path_beside(out: Path) -> Path:
    """The card of an exported file."""
    return out.parent / NAME


def refuse_other(out: Path) -> None:
    """Refuse to overwrite a README.md that is no card of ours.

    Raises:
        ExportError: if one lies beside the file.
    """
    path = path_beside(out)
    if path.exists() and not _is_ours(path):
        raise ExportError(
            f"{path} is there, and is no model card of lt-pipeline; export into a folder "
            "of its own"
        )


def _is_ours(path: Path) -> bool:
    try:
        return f"\n- {OURS}\n" in path.read_text(encoding="utf-8")
    except UnicodeDecodeError:  # ours are UTF-8
        return False


def write(exported: Exported, out: Path, form: str, reached: Reached | None) -> None:
    """Write the card.

    Args:
        exported: what the file holds.
        out: the file.
        form: of the file, a key of FORMS.
        reached: by the training that began with the ticket; None = there was none, or it
            diverged.
    """
    with files.atomic(path_beside(out)) as temporary:
        temporary.write_text(text(exported, out.name, form, reached), encoding="utf-8")


def text(exported: Exported, file: str, form: str, reached: Reached | None) -> str:
    """The card of a file of that name."""
    facts, task = exported.provenance, exported.task
    model = task.model.import_ or task.model.name
    is_trained = "trained" in facts
    what = "sparse network" if is_trained else "lottery ticket"
    density = _percent(facts["density"])
    lines = [
        f"# {model} on {task.data}: a {what} with {density} of its weights",
        "",
        f"{WHEN[is_trained]}; pruned weights are {PRUNED[facts['pruned'] == ZERO]}.",
        *_sentence(reached, is_trained=is_trained),
        "",
        f"`{file}` holds {FORMS[form].holds}.",
        "",
        "```python",
        FORMS[form].loads.replace("FILE", file),
        "```",
        "",
        "## Provenance",
        "",
        "| | |",
        "|---|---|",
        *(f"| {name} | `{value}` |" for name, value in facts.items()),
        f"| model | `{model}` |",
        f"| data | `{task.data}`: {exported.dataset.description.inputs} |",
        f"| lt-pipeline | `{version('lt-pipeline')}` |",
        "",
    ]
    return f"---\n{_front_matter(exported, form, reached)}---\n\n" + "\n".join(lines)


def _sentence(reached: Reached | None, *, is_trained: bool) -> list[str]:
    if reached is None:
        return []
    begins = "It reaches" if is_trained else "Trained as its experiment says, it reached"
    steps = "" if is_trained else f" after {reached.step} steps"
    return [f"{begins} {_percent(reached.accuracy)} test accuracy{steps}."]


def _percent(share: float) -> str:
    return f"{100 * share:.2f} %"


def _front_matter(exported: Exported, form: str, reached: Reached | None) -> str:
    values: dict[str, Any] = {"library_name": FORMS[form].library, "tags": list(TAGS)}
    kind = _kind(exported)
    if kind:
        values["pipeline_tag"] = kind
    if "trained" in exported.provenance and reached:
        data = exported.task.data
        measured = {
            "task": {"type": kind or "other"},
            "dataset": {"type": data, "name": data, "split": "test"},
            "metrics": [
                {"type": "accuracy", "name": "test accuracy", "value": reached.accuracy}
            ],
        }
        name = f"{exported.provenance['task']}-{exported.provenance['variant']}"
        values["model-index"] = [{"name": name, "results": [measured]}]
    written = io.StringIO()
    yaml = YAML()
    yaml.default_flow_style = False
    yaml.dump(values, written)
    return written.getvalue()


def _kind(exported: Exported) -> str:
    """The hub's name of the task; empty where it has none."""
    described = exported.dataset.description
    if not isinstance(described.labels, Classes):
        return ""
    return "image-classification" if isinstance(described.inputs, Images) else ""
