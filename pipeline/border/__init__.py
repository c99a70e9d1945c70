"""Where the program meets its user: mistakes as one line, exit codes, the root folder."""
