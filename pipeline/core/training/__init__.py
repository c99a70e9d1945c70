"""What a training is: its job, its schedule, the loop around any engine, its result."""
