"""What engines share: compiled kernels, vectors, caches and optimizer updates."""
