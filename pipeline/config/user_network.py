"""Networks that functions of the user's give, as ``model.import`` names them."""

import json
from collections.abc import Mapping
from functools import cache
from typing import Any, TypeGuard, get_args

from pipeline.border import user_code, user_failures
from pipeline.border.user_code import CodeError
from pipeline.core.description import Description
from pipeline.core.models import record_checks
from pipeline.core.models.layers import Layer, Layers, Module, Network


def build(name: str, options: Mapping[str, Any], data: Description) -> Network:
    """The network that a function gives for such examples.

    Args:
        name: ``package.module:function``. The function gets the description, and returns
            a ``torch.nn.Module``, a pair of it and the kinds of its prunable tensors, or
            a tuple of layer records.
        options: further arguments of the function, by name.
        data: what the examples are.

    Raises:
        ValueError: with one line, if there is no such function, it fails, or what it gives
            is no network for such examples.
    """
    return _built(name, json.dumps(options, sort_keys=True), data)


def refuse_unfit(name: str, options: Mapping[str, Any], data: Description) -> None:
    """Refuse layer records that do not fit one another, or do not fit the data.

    Args:
        name: of the function that gives them, as for ``build``.
        options: further arguments of the function, by name.
        data: what the examples are.

    Raises:
        ValueError: with one line.
    """
    network = build(name, options, data)
    if isinstance(network, Module):  # it was tried when it was built
        return
    from pipeline.core.models import record_trials  # torch, a second

    try:
        record_trials.refuse_unfit(network, data)
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from None


@cache
def _built(name: str, options: str, data: Description) -> Network:
    def make() -> Any:  # noqa: ANN401 - whatever the user's function returns
        return user_code.call(name, json.loads(options), data)

    try:
        code = user_code.digest_behind(user_code.module_of(name))
        first = make()
        if _has_layers(first):
            record_checks.refuse_wrong(first, data)
            return first
        from pipeline.core.models import modules  # torch, which layer records do without

        return modules.described(make, f"{name} {options} {code[:16]}", data)
    except CodeError as error:
        raise ValueError(str(error)) from None
    except ValueError as error:
        cause = error.__cause__  # of a module that fails
        where = user_failures.seen(cause) if cause else ""
        raise ValueError(f"{name}: {error}{where}") from None


def _has_layers(made: object) -> TypeGuard[Layers]:
    """Whether it is meant as layer records, right or wrong."""
    return isinstance(made, tuple) and any(isinstance(one, get_args(Layer)) for one in made)
