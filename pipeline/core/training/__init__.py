"""Training: jobs, learning rates, the loop around any engine, and the results."""
