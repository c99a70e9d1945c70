"""What notebooks and scripts call: results as tidy tables, tickets as torch tensors."""
