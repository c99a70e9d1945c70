"""What tests share: small experiments, stores, command lines and networks."""
