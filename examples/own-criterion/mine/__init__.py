"""Criteria of this example."""
