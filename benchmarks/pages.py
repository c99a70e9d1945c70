"""Put what a script has made into a page, between the markers that people wrote around."""

import re


def fill(page: str, name: str, text: str) -> str:
    """The page with this text between the markers of a block.

    Raises:
        ValueError: there is not exactly one pair of them.
    """
    pattern = re.compile(rf"(<!-- {name} -->\n).*?(<!-- /{name} -->)", re.DOTALL)
    filled, times = pattern.subn(lambda m: f"{m[1]}{text}\n{m[2]}", page)
    if times != 1:
        raise ValueError(f"{times} pairs <!-- {name} --> … <!-- /{name} -->, not one")
    return filled
