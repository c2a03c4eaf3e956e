"""A run: ensure a phase, run all again, verify, plan."""
