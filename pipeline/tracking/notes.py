"""Descriptions of runs and experiments: people write above a marked line, we below it."""

MARK = "*lt-pipeline writes below this line; what stands above it stays.*"


def merged(known: str, ours: str) -> str:
    """The description with our part replaced and all that people wrote kept.

    Args:
        known: the description as the store has it; empty where there is none.
        ours: what is to stand below the marked line.
    """
    if known.strip() == ours.strip():
        known = ""  # written by a version without the line
    theirs = known.partition(MARK)[0].rstrip()
    return f"{theirs}\n\n{MARK}\n\n{ours}" if theirs else f"{MARK}\n\n{ours}"
