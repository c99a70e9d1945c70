"""Functions for notebooks and scripts: results as tables, tickets as torch tensors."""
