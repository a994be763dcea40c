"""What clients speak to: the data plane's routes, and the one error envelope."""
