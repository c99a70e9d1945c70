"""The path and the file format of every artifact."""
