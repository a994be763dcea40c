"""Who calls, and with which workspace and credentials."""
