"""Data sets: what is known of each, and how the raw files are read."""
