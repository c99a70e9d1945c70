"""Where every artifact lies, and every file format."""
