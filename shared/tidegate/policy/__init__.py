"""The steps of a call's path, one module each."""
