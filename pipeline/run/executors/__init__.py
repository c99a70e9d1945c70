"""Where trainings run: processes of this machine, their preloads and their lifeline."""
