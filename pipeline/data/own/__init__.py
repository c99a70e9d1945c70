"""The user's own data sets: how each kind of source is read, checked and split."""
