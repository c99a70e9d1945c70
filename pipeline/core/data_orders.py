"""Names of the random streams that order training examples.

A name is the ``copy`` of a stream in ``seeding``; seed and round complete it.
"""


def of_round(variant: str, *, common_noise: bool) -> tuple[int | str]:
    """The data order of a variant's round: common to all variants of a task, or its own.

    >>> of_round("reinit", common_noise=True), of_round("reinit", common_noise=False)
    ((0,), ('reinit',))
    """
    return (0 if common_noise else variant,)


def of_copies(pairs: int) -> tuple[str, ...]:
    """The data orders of an instability analysis' copies; those of a pair are neighbors.

    >>> of_copies(1)
    ('instability/0/a', 'instability/0/b')
    """
    return tuple(f"instability/{pair}/{side}" for pair in range(pairs) for side in "ab")


RECALIBRATION = "recalibration"
"""name of the order whose first batches compute the running statistics of norms anew"""
