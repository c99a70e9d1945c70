"""What each setting says of itself: the text below its field, in the source."""

import ast
import inspect
from functools import cache
from textwrap import dedent


@cache
def sentences(kind: type) -> dict[str, str]:
    """Key -> the sentence below the field of a settings' dataclass, as one line.

    >>> from pipeline.config.settings import Data
    >>> sentences(Data)["download"]
    'whether missing data may be downloaded'
    """
    (definition,) = ast.parse(dedent(inspect.getsource(kind))).body
    assert isinstance(definition, ast.ClassDef)
    found = {}
    for field, below in zip(definition.body, definition.body[1:], strict=False):
        if isinstance(field, ast.AnnAssign) and isinstance(below, ast.Expr):
            assert isinstance(field.target, ast.Name)
            assert isinstance(below.value, ast.Constant)
            found[field.target.id] = " ".join(str(below.value.value).split())
    return found
