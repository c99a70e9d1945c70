"""Run trainings side by side, keep checkpoints, and write what they leave."""
