"""End the server at once, because Python takes 0.4 s to clean up after torch."""

import atexit
import os

atexit.register(os._exit, 0)
