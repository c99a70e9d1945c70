"""Mistakes that the user can solve, from every border of the program."""


class UserError(Exception):
    """One line: what is wrong, what was found, what to do. Exit code 2."""
