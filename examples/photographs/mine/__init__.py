"""The network of this example."""
