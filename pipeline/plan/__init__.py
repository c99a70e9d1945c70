"""Settings -> the plan: which stage instances exist, what each reads and depends on."""
