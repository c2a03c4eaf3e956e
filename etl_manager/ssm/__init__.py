"""SSM Run Command: a script goes out, one complete result comes back."""
