"""What trained networks and masks have in common, and how far they moved."""
