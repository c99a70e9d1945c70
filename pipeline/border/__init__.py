"""The border to the user: errors in one line, exit codes, the root folder."""
