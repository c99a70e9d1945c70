"""Data sets: facts about each one, and how its raw files are read."""
