"""Code that several engines share: kernels, vectors, caches and optimizer updates."""
