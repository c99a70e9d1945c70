"""End the server at once: after torch the interpreter cleans up for 0.4 s, for nobody."""

import atexit
import os

atexit.register(os._exit, 0)
