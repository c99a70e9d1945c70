"""Import matplotlib without its user's backend; the other modules import this one first.

A notebook puts ``MPLBACKEND=module://…`` into the environment of the commands that it runs,
and matplotlib fails while it is imported where that backend is not installed.
"""

import os

_VARIABLE = "MPLBACKEND"
_asked = os.environ.get(_VARIABLE)
os.environ[_VARIABLE] = "agg"
try:
    import matplotlib as mpl  # noqa: F401
finally:
    del os.environ[_VARIABLE]
    if _asked is not None:
        os.environ[_VARIABLE] = _asked
