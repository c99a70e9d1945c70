"""Trainings side by side: seeds, rounds, where they begin, lines, checkpoints."""
