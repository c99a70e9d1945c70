"""Analyses of finished networks: compare weights and masks, and look between networks."""
