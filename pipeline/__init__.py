"""lt-pipeline: lottery-ticket experiments as a DVC pipeline."""
