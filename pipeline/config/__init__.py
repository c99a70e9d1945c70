"""Read params.yaml and make checked, typed settings of it."""
