"""Keep passwords and tokens out of everything that this program prints or logs.

``redacting`` stands around whole commands and stages, so that no line of code has to think
of it: error messages of libraries repeat the addresses they were given.
"""

import os
import re
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Any, TextIO
from urllib.parse import unquote

HIDDEN = "***"
_WORDS = r"pass(?:word|wd)?|pwd|token|secret|api[_-]?key|access[_-]?key|signature"
_USERINFO = re.compile(
    r"(?P<scheme>\b[a-z][a-z0-9+.-]*://)(?P<info>[^\s'\"<>/][^\s'\"<>]*)@", re.I
)
_SETTING = re.compile(rf"(?P<name>[\w-]*(?:{_WORDS})=)[^\s&;,'\"<>)]+", re.I)
_BEARER = re.compile(r"\b(?P<name>(?:bearer|basic)\s+)[\w.~+/=-]{8,}", re.I)
SECRET_VARIABLES = ("MLFLOW_TRACKING_PASSWORD", "MLFLOW_TRACKING_TOKEN")
"""environment variables whose values are secrets wherever they stand"""
SHORTEST = 6
"""a shorter secret is hidden in addresses only: it may be an ordinary word"""

_hidden: set[str] = set()


def redacted(text: str) -> str:
    """The text without what only its owner should read.

    >>> redacted("postgresql://me:a/b@c@host:5432/x?sslpassword=d&mode=1")
    'postgresql://me:***@host:5432/x?sslpassword=***&mode=1'
    >>> redacted("http://tok3n@host/?token=abc")
    'http://***@host/?token=***'
    """
    known = _hidden | {os.environ.get(name, "") for name in SECRET_VARIABLES}
    for value in sorted(known, key=len, reverse=True):
        if len(value) >= SHORTEST:
            text = text.replace(value, HIDDEN)
    text = _USERINFO.sub(_without_password, text)
    text = _SETTING.sub(rf"\g<name>{HIDDEN}", text)
    return _BEARER.sub(rf"\g<name>{HIDDEN}", text)


def hide_secrets_of(address: str) -> None:
    """Hide the password of this address wherever it stands: libraries take it apart."""
    after = address.partition("://")[2]
    info, at, _ = after.rpartition("@")
    if at and not after.startswith("/"):
        secret = info.partition(":")[2] or info
        _hidden.update({secret, unquote(secret)})


@contextmanager
def redacting() -> Iterator[None]:
    """Redact what is written to stdout and stderr, and tracebacks of the process."""
    before = sys.stdout, sys.stderr
    sys.stdout, sys.stderr = (_Redacted(stream) for stream in before)
    sys.excepthook = _print_redacted
    try:
        yield
    finally:
        sys.stdout, sys.stderr = before


class _Redacted:
    """A stream that redacts what is written to it, and is otherwise the one it was."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        self._stream.write(redacted(text))
        return len(text)

    def writelines(self, lines: list[str]) -> None:
        for line in lines:
            self.write(line)

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - whatever the stream has
        return getattr(self._stream, name)


def _without_password(found: re.Match[str]) -> str:
    """User, hidden password: an address ends at the last @, as a password may have one."""
    user, colon, _ = found["info"].partition(":")
    return f"{found['scheme']}{user + colon if colon else ''}{HIDDEN}@"


def _print_redacted(
    kind: type[BaseException], error: BaseException, trace: TracebackType | None
) -> None:
    lines = traceback.format_exception(kind, error, trace)
    sys.stderr.write(redacted("".join(lines)))
