"""What a call's prompt and answer are checked for. Loaded by `selection.py` with the first call that has any."""
