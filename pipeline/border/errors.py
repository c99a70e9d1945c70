"""The base class of all errors that the user can solve."""


class UserError(Exception):
    """The message says what is wrong, what was found and what to do. Exit code 2."""
