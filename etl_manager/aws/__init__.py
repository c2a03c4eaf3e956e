"""What the suite asks of AWS: clients, discovery, preflight, and AWS's errors in plain words."""
