"""The network and the data of this example."""
