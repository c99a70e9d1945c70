"""Run work in processes of this machine, and end them with their parent."""
