"""End the server of workers at once, because Python takes 0.4 s to clean up after torch.

Any other process that imports this, such as one that collects tests, keeps its exit code.
"""

import atexit
import os
import sys

SERVER = "from multiprocessing.forkserver import main"
"""how Python's command of the server begins"""

if any(word.startswith(SERVER) for word in sys.orig_argv):
    atexit.register(os._exit, 0)
