"""The machines behind Run Command: a folder of this machine, or a container."""
