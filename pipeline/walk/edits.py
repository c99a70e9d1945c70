"""Stop a walk whose settings are edited.

DVC, which comes after it, would train everything again with the new ones.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from pipeline.config import params
from pipeline.plan import plan_file
from pipeline.plan.current import standing
from pipeline.run.instances import EditedError


def _text() -> bytes:
    return params.FILE.read_bytes() if params.FILE.exists() else b""


@dataclass(kw_only=True, slots=True)
class Edits:
    """Looks at params.yaml while a walk goes on."""

    inputs: Mapping[str, str]
    """path -> text of the inputs files, by the settings that the walk began with"""
    _seen: bytes = field(default_factory=_text)

    def refuse(self) -> None:
        """Raise if the file asks for other results by now.

        Raises:
            EditedError, ParamsError, PlanError: with one line.
        """
        text = _text()
        if text == self._seen:
            return
        self._seen = text
        if standing(plan_file.check(params.load())).inputs != self.inputs:
            raise EditedError(
                f"{params.FILE} changed after this run began; what is trained is kept, and "
                "`lt-pipeline run` goes on with the present settings"
            )
