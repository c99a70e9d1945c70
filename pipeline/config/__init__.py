"""params.yaml -> checked, typed settings."""
