"""Networks that functions of the user's give, as ``model.import`` names them."""

import json
from collections.abc import Mapping
from functools import cache
from typing import Any, TypeGuard, get_args

from pipeline.border import user_code, user_failures
from pipeline.border.user_code import CodeError
from pipeline.core.description import Description
from pipeline.core.models.layers import Layer, Layers, Network


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


@cache
def _built(name: str, options: str, data: Description) -> Network:
    def make() -> Any:  # noqa: ANN401 - whatever the user's function returns
        return user_code.call(name, json.loads(options), data)

    try:
        code = user_code.digest_behind(user_code.module_of(name))
        first = make()
        # They import torch, which other settings do without.
        from pipeline.core.models import modules, record_checks

        if _has_layers(first):
            record_checks.refuse_unfit(first, data)
            return first
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
