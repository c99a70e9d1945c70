"""The command ``lt-pipeline``, and ``python -m pipeline``.

A Ctrl-C is one line from here on: importing the command line takes a quarter of a second.
"""

from pipeline.border import interrupts


def main() -> None:
    """Run the command line."""
    interrupts.end_in_one_line()
    from pipeline import cli

    cli.main()


if __name__ == "__main__":
    main()
