"""The bastion: what is sent there, what runs there, and what comes back."""
