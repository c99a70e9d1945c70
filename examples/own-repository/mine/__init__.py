"""The data and the network of this example."""
