"""Settings for every test."""

from hypothesis import settings

# No deadline: the machine may be busy. Derandomised: the same bits for everybody.
settings.register_profile("here", deadline=None, derandomize=True, database=None)
settings.load_profile("here")
