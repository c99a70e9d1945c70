"""Functions of the user's that stand in place of an entry of a registry.

A name says which function and with which options, as a call does:
``mypkg.scores:mine(power=2)``. So a function with options is a name like all others, which
settings, plans, results and messages hold as text.
"""

import ast
import re
from collections.abc import Callable, Mapping
from functools import partial
from importlib import import_module
from typing import Any, TypeVar

NAME = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*")
"""``package.module:function``"""

FunctionT = TypeVar("FunctionT", bound=Callable[..., Any])


def is_function(name: str) -> bool:
    """Whether a name is one of a function, not of an entry.

    >>> is_function("mypkg.scores:mine(power=2)"), is_function("magnitude")
    (True, False)
    """
    return ":" in name


def named(function: str, options: Mapping[str, object]) -> str:
    """The name of a function with options.

    Raises:
        ValueError: if this is no name of a function, or an option's is none of an
            argument.

    >>> named("mypkg.scores:mine", {"power": 2, "kinds": ["fc"]})
    "mypkg.scores:mine(kinds=['fc'], power=2)"
    """
    if not NAME.fullmatch(function):
        raise ValueError(f"{function!r} is no function; write package.module:function")
    for option in options:
        if not option.isidentifier():
            raise ValueError(f"{option!r} is no name of an argument of {function}")
    given = ", ".join(f"{key}={options[key]!r}" for key in sorted(options))
    return f"{function}({given})" if given else function


def function_in(name: str) -> str:
    """The function in a name, without its options.

    >>> function_in("mypkg.scores:mine(power=2)")
    'mypkg.scores:mine'
    """
    return name.partition("(")[0]


def options_in(name: str) -> dict[str, Any]:
    """The options in the name of a function.

    Raises:
        ValueError: if they are not written as a call.

    >>> options_in("mypkg.scores:mine(power=2)"), options_in("mypkg.scores:mine")
    ({'power': 2}, {})
    """
    _, bracket, given = name.partition("(")
    try:
        call = ast.parse(f"f({given}" if bracket else "f()", mode="eval").body
        assert isinstance(call, ast.Call)
        assert not call.args
        return {str(one.arg): ast.literal_eval(one.value) for one in call.keywords}
    except (SyntaxError, AssertionError, ValueError):
        raise ValueError(f"{name}: write options as mypkg.scores:mine(power=2)") from None


def load(name: str) -> Callable[..., Any]:
    """The function of a name, with its options filled in.

    Raises:
        ValueError: if there is no such function.
    """
    options = options_in(name)
    return partial(_found(function_in(name)), **options)


def not_arrays(found: object) -> str:
    """Why what a function returns are no numpy arrays by name; empty = they are.

    >>> not_arrays(None)
    'it returns NoneType; return numpy arrays by name'
    >>> not_arrays({"fc1.weight": [1, 2]})
    'fc1.weight is a list, not an array of numpy'
    """
    from numpy import ndarray  # here: the help of the command line reads registries

    if not isinstance(found, Mapping):
        return f"it returns {type(found).__name__}; return numpy arrays by name"
    for name, values in found.items():
        if not isinstance(values, ndarray):
            return f"{name} is a {type(values).__name__}, not an array of numpy"
    return ""


def declares(record: object) -> Callable[[FunctionT], FunctionT]:
    """Declare what a function needs and can do: ``@declares(Criterion(draws=True))``.

    Args:
        record: as the entries of the registry have it, whose place the function takes.
    """

    def declared(function: FunctionT) -> FunctionT:
        function.record = record  # type: ignore[attr-defined]  # functions have attributes
        return function

    return declared


def record_of(name: str) -> object | None:
    """The record that a function declares; None if it declares none.

    Raises:
        ValueError: if there is no such function.
    """
    found: object | None = getattr(_found(function_in(name)), "record", None)
    return found


def _found(name: str) -> Callable[..., Any]:
    if not NAME.fullmatch(name):
        raise ValueError(f"{name!r} is no function; write package.module:function")
    module, _, attribute = name.partition(":")
    try:
        found = getattr(import_module(module), attribute, None)
    except (Exception, SystemExit) as error:
        said = f"{type(error).__name__}: {error}"
        raise ValueError(f"{name}: importing {module} fails: {said}") from error
    if not callable(found):
        raise ValueError(f"{name}: {module} has no function {attribute}")
    function: Callable[..., Any] = found
    return function
