"""Named random streams: each purpose draws from its own, and a new one changes no other.

A stream is a numpy generator on the Philox counter (``quick``: on SFC64); its key is a hash
of its purpose, seed, round and copy. Only numpy draws, because torch's draws differ between
CPUs (AVX2 against AVX-512).
"""

import hashlib

import numpy as np

PURPOSES = frozenset(
    {
        "actions",
        "augment",
        "data_order",
        "drawing",
        "dropout",
        "init",
        "mask_regrow",
        "mask_sample",
        "mask_shuffle",
        "norm_share",
        "reinit",
        "score_batch",
        "scores",
        "split",
        "text",
    }
)


def generator(
    seed: int, purpose: str, *, round: int = 0, copy: int | str = 0
) -> np.random.Generator:
    """The stream for one purpose of one replicate.

    Args:
        seed: number of the replicate, ≥ 0.
        purpose: one of PURPOSES.
        round: pruning round, 0 = dense.
        copy: distinguishes several draws for the same purpose, seed and round (the draw
            number of a reinit, the copy of an instability analysis, an epoch).

    Returns:
        A fresh generator; equal arguments give equal streams, on every machine.

    Raises:
        ValueError: if the purpose is not a known one.

    >>> int(generator(0, "init").integers(1000)) == int(
    ...     generator(0, "init").integers(1000)
    ... )
    True
    """
    return np.random.Generator(np.random.Philox(key=_key(seed, purpose, round, copy)))


def quick(
    seed: int, purpose: str, *, round: int = 0, copy: int | str = 0
) -> np.random.Generator:
    """The same for draws of a number per weight at every step: SFC64, twice as fast."""
    return np.random.Generator(np.random.SFC64(_key(seed, purpose, round, copy)))


def _key(seed: int, purpose: str, round: int, copy: int | str) -> int:
    """The number that stands for a stream."""
    if purpose not in PURPOSES:
        raise ValueError(
            f"unknown random stream {purpose!r}; the streams are {sorted(PURPOSES)}"
        )
    name = f"{purpose}/seed={seed}/round={round}/copy={copy}"
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:16], "little")
