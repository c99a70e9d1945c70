"""One thin file per DVC stage: read artifacts, call the core, write artifacts."""
