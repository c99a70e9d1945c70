"""Which data order a training has: the name of its stream, beside seed and round."""


def of_round(variant: str, *, common_noise: bool) -> tuple[int | str]:
    """The order of a round of a variant: one for all variants of a task, or its own.

    >>> of_round("reinit", common_noise=True), of_round("reinit", common_noise=False)
    ((0,), ('reinit',))
    """
    return (0 if common_noise else variant,)


def of_copies(pairs: int) -> tuple[str, ...]:
    """The orders of the copies of an instability analysis; a pair's are neighbors.

    >>> of_copies(1)
    ('instability/0/a', 'instability/0/b')
    """
    return tuple(f"instability/{pair}/{side}" for pair in range(pairs) for side in "ab")


RECALIBRATION = "recalibration"
"""the order that chooses the batches which make statistics of norms anew"""
