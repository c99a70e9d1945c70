"""Say in one line why a store cannot be used, with the advice that can help."""

import re
import textwrap
from importlib import resources

from pipeline.border.redaction import redacted

_SCHEMA = re.compile(r"database schema.*found version (\w+)|revision identified by '(\w+)'")
_LONGEST = 400
"""characters of a reason: MLflow's own advice stands at its end"""


def refusal(uri: str, error: BaseException) -> str:
    """The line about a store that failed with this error."""
    store, text = redacted(uri), " ".join(redacted(str(error)).split())
    found = _SCHEMA.search(text)
    if found is None:
        return (
            f"the MLflow store {store} cannot be used "
            f"({textwrap.shorten(text, _LONGEST, placeholder=' …')}); results are safe in "
            "artifacts/: `lt-pipeline track` writes them again"
        )
    if _known(found[1] or found[2]):
        return (
            f"the MLflow store {store} was written by an older MLflow; copy it, then run "
            f"`mlflow db upgrade '{store}'`"
        )
    return (
        f"the MLflow store {store} was written by a newer MLflow; run "
        "`pip install --upgrade mlflow`, or name another store"
    )


def _known(revision: str) -> bool:
    """Whether the MLflow that is installed knows this version of a database."""
    versions = resources.files("mlflow.store.db_migrations.versions")
    return any(file.name.startswith(revision) for file in versions.iterdir())
