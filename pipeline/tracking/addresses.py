"""The address of a store: which one it is, and whether it can be used as it stands."""

import importlib.util
import os
import re
import socket
from pathlib import Path
from types import MappingProxyType
from urllib.parse import urlsplit

from pipeline.border.errors import UserError
from pipeline.border.redaction import hide_secrets_of
from pipeline.border.root import enclosing

ANSWER_S = 3
"""a database whose port does not answer within this time is unreachable"""
WEB = ("http", "https")
SQLITE = "sqlite:///"
PORTS = MappingProxyType({"postgresql": 5432, "mysql": 3306, "mssql": 1433})
DRIVERS = MappingProxyType(
    {
        "postgresql": {"psycopg2": "psycopg2-binary", "psycopg": "psycopg[binary]"},
        "mysql": {"MySQLdb": "mysqlclient", "pymysql": "pymysql"},
        "mssql": {"pyodbc": "pyodbc", "pymssql": "pymssql"},
    }
)
"""kind of database -> Python module of a driver, the best known first -> the package that
has it; SQLAlchemy's own choice depends on its version"""


class TrackingError(UserError):
    """The store cannot be used; the message says which, why, and what to do."""


def store_uri(root: Path, uri: str | None = None) -> str:
    """The store to use: ``uri``, else MLFLOW_TRACKING_URI, else mlflow.db in the root.

    In a temporary workspace of ``dvc exp run`` the root is the experiment around it:
    a store in the workspace would be deleted with it.
    """
    given = uri or os.environ.get("MLFLOW_TRACKING_URI")
    return given or sqlite_uri(enclosing(root) / "mlflow.db")


def sqlite_uri(file: Path) -> str:
    """The URI of a database, from here where its full path has characters of URIs.

    MLflow and SQLAlchemy read ``?`` and ``%20`` in it differently, so nothing can escape
    them for both.
    """
    return f"{SQLITE}{os.path.relpath(file) if set(str(file)) & set('?#%') else file}"


def sqlite_file(uri: str) -> Path | None:
    """The file of a SQLite URI; None for any other store."""
    return Path(uri.removeprefix(SQLITE)) if uri.startswith(SQLITE) else None


def seen_from(folder: Path, uri: str | None, *, is_read: bool = False) -> str | None:
    """A store that a command line names: a relative SQLite file lies below the folder.

    Args:
        folder: in which the user stands.
        uri: as it was given; None = the default.
        is_read: whether the store has to be there.

    Raises:
        TrackingError: it is a file that is not there, and is read.
    """
    file = sqlite_file(uri) if uri else None
    if file is None:
        return uri
    if is_read and not (folder / file).exists():
        raise TrackingError(
            f"there is no tracked result yet: {(folder / file).resolve()} does not exist; "
            "name a store that is there as --uri"
        )
    return uri if file.is_absolute() else sqlite_uri((folder / file).resolve())


def usable(uri: str) -> str:
    """The URI as MLflow takes it, with the database driver that is installed.

    Raises:
        TrackingError: it is malformed, of an unknown kind, or its driver is missing; the
            message repeats no part of it that may be a secret.
    """
    hide_secrets_of(uri)
    if uri.startswith(SQLITE):
        return uri
    scheme = uri.partition("://")[0] if "://" in uri else ""
    kind, _, driver = scheme.lower().partition("+")
    if kind in WEB:
        _refuse_malformed(uri)
        return uri
    if kind in DRIVERS:
        _refuse_malformed(uri)
        return uri if driver else _with_driver(uri, kind)
    raise TrackingError(
        f"the store's address has to begin with http://, https://, {SQLITE} or "
        f"{', '.join(f'{name}://' for name in DRIVERS)}; found "
        + (f"{scheme}://" if scheme else "none of these")
    )


def refuse_unreachable(uri: str) -> None:
    """Try the port of a database first: MLflow would try it for over a minute.

    Raises:
        OSError: nobody answers.
    """
    parts = urlsplit(uri)
    port = parts.port or PORTS.get(parts.scheme.partition("+")[0])
    if parts.scheme not in WEB and parts.hostname and port:
        socket.create_connection((parts.hostname, port), ANSWER_S).close()


def _refuse_malformed(uri: str) -> None:
    """A / ? or # in a password ends the host: libraries would print what follows."""
    after = uri.partition("://")[2]
    authority = re.split(r"[/?#]", after, maxsplit=1)[0]
    try:
        urlsplit(uri).port  # noqa: B018 - reading it checks it
        wrong = "@" in after[len(authority) :].partition("?")[0] or not authority
    except ValueError:
        wrong = True
    if wrong or re.search(r"[\s\x00-\x1f]", uri):
        raise TrackingError(
            "the store's address is malformed: it has to be SCHEME://HOST:PORT, or "
            "SCHEME://USER:PASSWORD@HOST:PORT with / ? # @ : and spaces in the password "
            "as %2F %3F %23 %40 %3A %20"
        )


def _with_driver(uri: str, kind: str) -> str:
    drivers = DRIVERS[kind]
    for module in drivers:
        if importlib.util.find_spec(module):
            return f"{kind}+{module.lower()}://{uri.partition('://')[2]}"
    raise TrackingError(
        f"a {kind}:// store needs a driver, and none is installed: "
        + " or ".join(f"`pip install '{package}'`" for package in drivers.values())
    )
